import protobuf from "protobufjs/minimal.js";
import type { Problem } from "../base/problem.ts";
import type { Result } from "../base/result.ts";
import { failed, ok } from "../base/result.ts";
import type messages from "./generated/messages.js";
import { omittedFields } from "./generated/omitted-fields.js";

type Any = messages.google.protobuf.Any;
type Duration = messages.google.protobuf.Duration;
type FractionalPercent = messages.envoy.type.v3.FractionalPercent;

/** What the generated code offers per message. */
export interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(from: protobuf.Reader): T;
}

/** A decoded protobuf message; fields that the generated code does not know are in `$unknowns`. */
interface Message {
  readonly $unknowns?: readonly Uint8Array[];
}

/** Collects what is wrong while a resource is read; paths are rooted at the resource and use protobuf's JSON field names. */
export class Reading {
  readonly problems: Problem[] = [];

  problem(path: string, why: string, hint?: string): void {
    this.problems.push(hint === undefined ? { path, why } : { path, why, hint });
  }

  /**
   * Reports fields of `message` that this build does not understand, by name when they are only left out of
   * used-messages.mjs. `only`: report just these names, because the other unknown fields may safely be ignored.
   */
  refuseUnknown(message: Message, type: string, path: string, only?: readonly string[]): void {
    for (const name of unreadFields[type] ?? []) {
      if (only && !only.includes(name)) continue;
      const value = (message as Readonly<Record<string, unknown>>)[name];
      if (value !== undefined && value !== null && !(Array.isArray(value) && value.length === 0))
        this.#refuse(name, type, path);
    }
    const names = omittedFields[type];
    for (const raw of message.$unknowns ?? []) {
      const number = protobuf.Reader.create(raw).uint32() >>> 3;
      const name = names?.[number];
      if (only && (name === undefined || !only.includes(name))) continue;
      this.#refuse(name ?? `field ${number}`, type, path);
    }
  }

  #refuse(field: string, type: string, path: string): void {
    this.problem(
      path,
      `${field} of ${type} is not understood by this version, and ignoring it would change its meaning`,
    );
  }
}

/**
 * Fields that the generated code knows only because other messages need their types. Nobody reads them here, so they are refused like
 * those that were left out.
 */
const unreadFields: Readonly<Record<string, readonly string[]>> = {
  "envoy.config.route.v3.RouteMatch": ["pathMatchPolicy"],
  "envoy.config.route.v3.RouteAction": ["pathRewritePolicy"],
  "envoy.config.route.v3.RetryPolicy": ["retryOptionsPredicates"],
  "envoy.config.rbac.v3.Permission": ["matcher"],
  "envoy.config.cluster.v3.OutlierDetection": ["monitors"],
  "envoy.extensions.transport_sockets.tls.v3.CommonTlsContext": ["customHandshaker"],
  "envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext": ["customValidatorConfig"],
};

/** Decodes `bytes` and hands the message to `read`; a value comes out only when no problem was found. Never throws. */
export function readMessage<W, T>(
  codec: Codec<W>,
  bytes: Uint8Array,
  read: (message: W, reading: Reading) => T,
): Result<T> {
  const reading = new Reading();
  const message = decodeMessage(codec, bytes, "", reading);
  if (message === undefined) return failed(reading.problems);
  const value = read(message, reading);
  return reading.problems.length > 0 ? failed(reading.problems) : ok(value);
}

/** Unknown fields are kept, so that `refuseUnknown` can see them. */
export function decodeMessage<W>(
  codec: Codec<W>,
  bytes: Uint8Array,
  path: string,
  reading: Reading,
): W | undefined {
  try {
    const reader = protobuf.Reader.create(bytes);
    reader.discardUnknown = false;
    return codec.decode(reader);
  } catch (error) {
    reading.problem(
      path,
      `is not a valid protobuf message: ${error instanceof Error ? error.message : String(error)}`,
    );
    return undefined;
  }
}

const typePrefix = "type.googleapis.com/";

export function packAny<W>(type: string, codec: Codec<W>, message: W): Any {
  return { type_url: typePrefix + type, value: codec.encode(message).finish() };
}

/** The message type inside an Any, without the URL's host part. */
export function anyType(any: Any | null | undefined): string {
  const url = any?.type_url ?? "";
  return url.slice(url.lastIndexOf("/") + 1);
}

export function toDuration(ms: number): Duration {
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanos: Math.round((ms - seconds * 1000) * 1e6) };
}

/** Milliseconds. 64-bit fields may come as Long objects, whose only conversion is their text. */
export function fromDuration(duration: Duration): number {
  return Number(String(duration.seconds ?? 0)) * 1000 + (duration.nanos ?? 0) / 1e6;
}

/** Envoy knows steps of a millionth; the smallest positive fraction is kept positive. */
export function toFraction(fraction: number): FractionalPercent {
  const millionths = Math.round(fraction * 1e6);
  if (millionths === 0 && fraction > 0) return { numerator: 1, denominator: 2 };
  if (millionths % 10_000 === 0) return { numerator: millionths / 10_000, denominator: 0 };
  return { numerator: millionths, denominator: 2 };
}

const denominators = [100, 10_000, 1_000_000];

/** 0..1; more than the whole counts as the whole, as in Envoy. */
export function fromFraction(percent: FractionalPercent | null | undefined): number {
  if (!percent) return 0;
  return Math.min(1, (percent.numerator ?? 0) / (denominators[percent.denominator ?? 0] ?? 100));
}
