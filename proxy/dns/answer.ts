import type { Answer, DecodedPacket, OptAnswer, Packet } from "dns-packet";
import {
  AUTHORITATIVE_ANSWER,
  decode,
  encode,
  RECURSION_AVAILABLE,
  RECURSION_DESIRED,
  TRUNCATED_RESPONSE,
} from "dns-packet";
import type { NameTable } from "./name-table.ts";
import { endOfQuestion, headerBytes } from "./question.ts";

/** What to do about a message. */
export type Verdict =
  | { readonly kind: "answer"; readonly bytes: Buffer }
  /** About a name that is not ours: somebody else knows. */
  | { readonly kind: "forward" }
  /** Nothing is said: it is no question. */
  | { readonly kind: "ignore" };

// RFC 1035 section 4.1.1.
const formatError = 1;
export const serverFailure = 2;
const notImplemented = 4;
/** RFC 1035 section 4.2.1: what UDP carries when the asker says nothing else. */
const plainUdpBytes = 512;
/** What fits in one packet on every usual network (the DNS flag day 2020's figure). */
const ownUdpBytes = 1_232;

/**
 * Answers a question about a name of the table: with its addresses, or with none when it has no address of the family asked for (RFC 8020:
 * the name exists). Service bindings (RFC 9460) of such names are empty too, as those of the real service would lead around the mesh.
 * @param maxBytes of an answer; undefined over TCP
 * @param first which of several addresses comes first, from 0; it wraps around
 */
export function answerFor(
  message: Buffer,
  table: NameTable,
  transport: "udp" | "tcp",
  first: number,
): Verdict {
  if (message.length < headerBytes || (message[2]! & 0x80) !== 0) return { kind: "ignore" };
  const opcode = (message[2]! >> 3) & 0x0f;
  if (opcode !== 0) return refusal(message, notImplemented);
  let packet: DecodedPacket;
  try {
    packet = decode(message);
  } catch {
    return refusal(message, formatError);
  }
  const [question, ...more] = packet.questions ?? [];
  if (question === undefined || more.length > 0) return refusal(message, formatError);
  const known = (question.class ?? "IN") === "IN" ? table.find(question.name) : undefined;
  // dns-packet writes types that it has no name for as UNKNOWN_65.
  const type: string = question.type;
  const isOurs = type === "A" || type === "AAAA" || type === "UNKNOWN_64" || type === "UNKNOWN_65";
  if (known === undefined || !isOurs) return { kind: "forward" };

  const addresses = type === "A" ? known.ipv4 : type === "AAAA" ? known.ipv6 : [];
  const start = addresses.length === 0 ? 0 : first % addresses.length;
  const answers = [...addresses.slice(start), ...addresses.slice(0, start)].map(
    (data): Answer => ({ type: type as "A" | "AAAA", name: question.name, ttl: known.ttlSeconds, data }),
  );
  const asked = packet.additionals?.find((record): record is OptAnswer => record.type === "OPT");
  const limit =
    transport === "tcp"
      ? Number.POSITIVE_INFINITY
      : Math.max(plainUdpBytes, Math.min(ownUdpBytes, asked?.udpPayloadSize ?? 0));
  const additionals = asked === undefined ? [] : [emptyOpt];
  const flags = AUTHORITATIVE_ANSWER | RECURSION_AVAILABLE | ((packet.flags ?? 0) & RECURSION_DESIRED);
  const reply: Packet = { type: "response", id: packet.id ?? 0, questions: [question], additionals };
  const bytes = encode({ ...reply, flags, answers });
  if (bytes.length <= limit) return { kind: "answer", bytes };
  return { kind: "answer", bytes: encode({ ...reply, flags: flags | TRUNCATED_RESPONSE, answers: [] }) };
}

/** The same header and question, with an error code and nothing else. What asked waits on when the question is not there. */
export function refusalBytes(message: Buffer, code: number): Buffer {
  const end = endOfQuestion(message);
  const hasQuestion = message.readUInt16BE(4) === 1 && end <= message.length;
  const bytes = Buffer.from(message.subarray(0, hasQuestion ? end : headerBytes));
  bytes[2] = 0x80 | (message[2]! & 0x79);
  bytes[3] = 0x80 | code;
  bytes.fill(0, 4, headerBytes);
  if (hasQuestion) bytes[5] = 1;
  return bytes;
}

function refusal(message: Buffer, code: number): Verdict {
  return { kind: "answer", bytes: refusalBytes(message, code) };
}

const emptyOpt: OptAnswer = {
  type: "OPT",
  name: ".",
  udpPayloadSize: ownUdpBytes,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
};
