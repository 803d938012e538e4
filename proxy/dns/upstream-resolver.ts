import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";
import type { Clock } from "../../common/base/clock.ts";
import type { Random } from "../../common/base/random.ts";
import type { SocketAddress } from "../../common/model/node.ts";
import { DnsFrames, frame } from "./frames.ts";
import { endOfQuestion, headerBytes } from "./question.ts";

export interface UpstreamResolverParts {
  /** Name servers in the order to ask them. */
  readonly servers: readonly SocketAddress[];
  readonly clock: Clock;
  readonly random: Random;
}

/** resolv.conf(5) waits 5 s and asks twice; who asks us waits so long too, so we hurry to be first. */
const serverTimeoutMs = 2_000;
const rounds = 2;
/** Questions under way; more are not asked, so that a flood costs no more than this. */
const maxPending = 1_024;
const maxUdpBytes = 65_535;

/** Passes questions on to the machine's own name servers, byte for byte. */
export class UpstreamResolver {
  readonly #parts: UpstreamResolverParts;
  #pending = 0;

  constructor(parts: UpstreamResolverParts) {
    this.#parts = parts;
  }

  /** The answer with the question's id; undefined when no server gave one in time. */
  async ask(question: Buffer, transport: "udp" | "tcp"): Promise<Buffer | undefined> {
    if (this.#pending >= maxPending) return undefined;
    this.#pending += 1;
    try {
      for (let round = 0; round < rounds; round += 1) {
        for (const server of this.#parts.servers) {
          const answer = await (transport === "udp"
            ? this.#askUdp(question, server)
            : this.#askTcp(question, server));
          if (answer !== undefined) return answer;
        }
      }
      return undefined;
    } finally {
      this.#pending -= 1;
    }
  }

  /** A socket and an id for each question, so that nobody can answer who did not see it (RFC 5452 section 9.2). */
  #askUdp(question: Buffer, { host, port }: SocketAddress): Promise<Buffer | undefined> {
    const { clock, random } = this.#parts;
    const id = Math.floor(random() * 0x1_0000);
    const sent = Buffer.from(question);
    sent.writeUInt16BE(id, 0);
    return new Promise((resolve) => {
      const socket = createSocket({ type: isIPv6(host) ? "udp6" : "udp4", recvBufferSize: maxUdpBytes });
      const settle = (answer: Buffer | undefined): void => {
        cancel();
        socket.removeAllListeners();
        // An error after this has nobody to go to.
        socket.on("error", () => {});
        socket.close();
        resolve(answer);
      };
      const cancel = clock.after(serverTimeoutMs, () => settle(undefined));
      socket.on("error", () => settle(undefined));
      socket.on("message", (answer) => {
        if (!answers(answer, sent)) return;
        question.copy(answer, 0, 0, 2);
        settle(answer);
      });
      socket.connect(port, host, () => socket.send(sent));
    });
  }

  #askTcp(question: Buffer, { host, port }: SocketAddress): Promise<Buffer | undefined> {
    return new Promise((resolve) => {
      const socket = connect({ host, port });
      const frames = new DnsFrames();
      const settle = (answer: Buffer | undefined): void => {
        cancel();
        socket.destroy();
        resolve(answer);
      };
      const cancel = this.#parts.clock.after(serverTimeoutMs, () => settle(undefined));
      socket.on("error", () => settle(undefined));
      socket.on("close", () => settle(undefined));
      socket.on("data", (chunk: Buffer) => {
        const [answer] = frames.push(chunk);
        if (answer !== undefined) settle(answers(answer, question) ? answer : undefined);
      });
      socket.write(frame(question));
    });
  }
}

/** Whether it is a response, with the same id, to the same question. */
function answers(answer: Buffer, question: Buffer): boolean {
  if (
    answer.length < headerBytes ||
    (answer[2]! & 0x80) === 0 ||
    answer.readUInt16BE(0) !== question.readUInt16BE(0)
  )
    return false;
  const end = endOfQuestion(question);
  // A server that can't read the question may leave it out.
  if (answer.readUInt16BE(4) === 0) return (answer[3]! & 0x0f) !== 0;
  return (
    answer.length >= end &&
    sameLetters(answer.subarray(headerBytes, end), question.subarray(headerBytes, end))
  );
}

function sameLetters(one: Buffer, other: Buffer): boolean {
  return one.toString("latin1").toLowerCase() === other.toString("latin1").toLowerCase();
}
