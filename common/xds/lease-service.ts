/**
 * How proxies share one limit (RateLimit with `global`): a stream beside ADS on the same connection, on which a proxy says again and
 * again how many requests came, and the control plane answers with the share of the limit that this proxy may let through meanwhile.
 * Ours alone, so its messages are JSON and not protobuf.
 */

export interface LeaseReport {
  /** What the proxy calls itself, `Node.id`. */
  readonly proxy: string;
  /** The last reply that it goes by; 0: none. */
  readonly applied: number;
  /** Every global rule that it runs, also those without requests. */
  readonly rules: readonly RuleDemand[];
}

export interface RuleDemand {
  readonly rule: string;
  /** Requests a second that the rule allows to all proxies together, per key. */
  readonly perSecond: number;
  /** Requests that may come at once, of all proxies together, per key. */
  readonly burst: number;
  /** How many proxies shared the rule when it last heard; 0: never. */
  readonly proxies: number;
  readonly keys: readonly KeyDemand[];
}

/** Requests a second that came, those that were refused included. */
export type KeyDemand = readonly [key: string, perSecond: number];

export interface LeaseReply {
  /** Rises with every reply of a stream. */
  readonly version: number;
  /** ms that the shares hold without another reply. */
  readonly ttlMs: number;
  readonly rules: readonly RuleLease[];
}

export interface RuleLease {
  readonly rule: string;
  /** How many proxies share it now. */
  readonly proxies: number;
  /** 0..1: the share of the limit for every key that is not listed. */
  readonly otherShare: number;
  readonly keys: readonly KeyLease[];
}

/** `share`: 0..1 of the limit. `tokens`: requests that may come besides, once; what nobody has used of the burst so far. */
export type KeyLease = readonly [key: string, share: number, tokens: number];

/** Keys of one rule in one message; those with the most requests. */
export const maxLeasedKeys = 1_000;
const maxRules = 1_000;
const maxTextLength = 1_024;

/** In the shape that @grpc/grpc-js takes as a ServiceDefinition. Deserializers throw on what is not the message. */
export const leaseService = {
  Lease: {
    path: "/weft.v1alpha1.RateLimitLeases/Lease",
    requestStream: true,
    responseStream: true,
    requestSerialize: (report: LeaseReport) => Buffer.from(JSON.stringify(report)),
    requestDeserialize: readReport,
    responseSerialize: (reply: LeaseReply) => Buffer.from(JSON.stringify(reply)),
    responseDeserialize: readReply,
  },
} as const;

function readReport(bytes: Uint8Array): LeaseReport {
  const { proxy, applied, rules } = parse(bytes);
  return {
    proxy: text(proxy),
    applied: amount(applied),
    rules: list(rules, maxRules).map((rule) => ({
      rule: text(rule["rule"]),
      perSecond: amount(rule["perSecond"]),
      proxies: amount(rule["proxies"]),
      burst: amount(rule["burst"]),
      keys: list(rule["keys"], maxLeasedKeys).map((pair) => {
        const [key, perSecond] = pair as unknown as readonly unknown[];
        return [text(key), amount(perSecond)] as const;
      }),
    })),
  };
}

function readReply(bytes: Uint8Array): LeaseReply {
  const { version, ttlMs, rules } = parse(bytes);
  return {
    version: amount(version),
    ttlMs: amount(ttlMs),
    rules: list(rules, maxRules).map((rule) => ({
      rule: text(rule["rule"]),
      proxies: amount(rule["proxies"]),
      otherShare: Math.min(1, amount(rule["otherShare"])),
      keys: list(rule["keys"], maxLeasedKeys).map((lease) => {
        const [key, share, tokens] = lease as unknown as readonly unknown[];
        return [text(key), Math.min(1, amount(share)), amount(tokens)] as const;
      }),
    })),
  };
}

type Fields = Readonly<Record<string, unknown>>;

function parse(bytes: Uint8Array): Fields {
  return fields(JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()));
}

function fields(value: unknown): Fields {
  if (typeof value !== "object" || value === null) throw new Error("not an object");
  return value as Fields;
}

function list(value: unknown, most: number): readonly Fields[] {
  if (!Array.isArray(value) || value.length > most) throw new Error(`not a list of at most ${most}`);
  return value.map(fields);
}

function text(value: unknown): string {
  if (typeof value !== "string" || value.length > maxTextLength) throw new Error("not a short text");
  return value;
}

function amount(value: unknown): number {
  if (typeof value !== "number" || !Number.isFinite(value) || value < 0) throw new Error("not an amount");
  return value;
}
