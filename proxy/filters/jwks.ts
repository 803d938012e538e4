import type { JWTVerifyGetKey } from "jose";
import type { Clock } from "../../common/base/clock.ts";
import type { JwtKeys } from "../../common/model/authentication.ts";
import { jose } from "./jose.ts";

/** Fetches a JWKS document; rejects with why not. */
export type FetchJwks = (keys: Extract<JwtKeys, { kind: "remote" }>) => Promise<string>;

export interface JwksParts {
  readonly clock: Clock;
  readonly fetch: FetchJwks;
  /** Hears of keys that can't be had; those before stay in use. */
  readonly onProblem: (uri: string, why: string) => void;
}

/** Finds the key for a token's header; throws jose's errors. */
export type FindKey = JWTVerifyGetKey;

/** Istio's refresh interval for keys. */
const freshMs = 20 * 60_000;
/** A key that is not known is asked for so often at most: whoever makes up key ids must not make us ask the issuer. */
const refetchMs = 30_000;
/** After a fetch that failed. */
const retryMs = 5_000;

/** The keys of one issuer: those that a policy holds itself, or those that are fetched and kept. */
export class Jwks {
  readonly #keys: JwtKeys;
  readonly #parts: JwksParts;
  #find: FindKey | undefined = undefined;
  #problem: string | undefined = undefined;
  #triedAt = Number.NEGATIVE_INFINITY;
  #fetchedAt = Number.NEGATIVE_INFINITY;
  #fetching: Promise<void> | undefined = undefined;
  /** Grows when the keys are others, so that what was verified with those before is forgotten. */
  version = 0;

  constructor(keys: JwtKeys, parts: JwksParts) {
    this.#keys = keys;
    this.#parts = parts;
    if (keys.kind === "inline") this.#take(keys.jwks);
    else void this.#fetch();
  }

  /** Why there are no keys; undefined when there are. */
  get problem(): string | undefined {
    return this.#find === undefined ? (this.#problem ?? "keys are not here yet") : undefined;
  }

  /** The keys there are, fetched first when there are none; undefined when none can be had. Stale ones serve while new ones are fetched. */
  async current(): Promise<FindKey | undefined> {
    const now = this.#parts.clock.monotonic();
    if (this.#keys.kind === "remote") {
      if (this.#find === undefined) {
        if (this.#fetching !== undefined || now - this.#triedAt >= retryMs) await this.#fetch();
      } else if (now - this.#fetchedAt >= freshMs && now - this.#triedAt >= refetchMs) void this.#fetch();
    }
    return this.#find;
  }

  /** A token names a key that is not known: asks again, unless that was done just now. True when there may be other keys. */
  async refetch(): Promise<boolean> {
    if (this.#keys.kind === "inline") return false;
    if (this.#fetching === undefined && this.#parts.clock.monotonic() - this.#triedAt < refetchMs)
      return false;
    const before = this.version;
    await this.#fetch();
    return this.version !== before;
  }

  #fetch(): Promise<void> {
    if (this.#keys.kind === "inline") return Promise.resolve();
    const { uri } = this.#keys;
    this.#triedAt = this.#parts.clock.monotonic();
    this.#fetching ??= this.#parts
      .fetch(this.#keys)
      .then((text) => this.#take(text))
      .catch((thrown: unknown) => {
        this.#problem = thrown instanceof Error ? thrown.message : String(thrown);
        this.#parts.onProblem(uri, this.#problem);
      })
      .finally(() => {
        this.#fetching = undefined;
      });
    return this.#fetching;
  }

  /** Throws, with what was there before still in place, when the text holds no keys. */
  #take(text: string): void {
    try {
      this.#find = asymmetricOnly(text);
    } catch (cause) {
      const isTold = cause instanceof jose().errors.JOSEError || cause instanceof SyntaxError;
      const why = isTold ? cause.message : String(cause);
      this.#problem = `what was fetched is no JWKS: ${why}`;
      if (this.#keys.kind === "remote") throw new Error(this.#problem);
      return;
    }
    this.#problem = undefined;
    this.#fetchedAt = this.#parts.clock.monotonic();
    this.version++;
  }
}

/** A shared secret in a document that many can read is no proof of anything, and the way to take a public key for one. */
function asymmetricOnly(text: string): FindKey {
  const document = JSON.parse(text) as { keys?: unknown };
  const keys = Array.isArray(document?.keys) ? document.keys : undefined;
  if (keys === undefined) throw new SyntaxError("it has no list of keys");
  const usable = keys.filter(
    (key: unknown) => typeof key === "object" && key !== null && "kty" in key && key.kty !== "oct",
  );
  if (usable.length === 0) throw new SyntaxError("it has no public key");
  return jose().createLocalJWKSet({ keys: usable } as Parameters<
    ReturnType<typeof jose>["createLocalJWKSet"]
  >[0]);
}

/** The keys of all issuers of a proxy. Outlives changes of policies. */
export class JwksSet {
  readonly #parts: JwksParts;
  readonly #all = new Map<string, Jwks>();

  constructor(parts: JwksParts) {
    this.#parts = parts;
  }

  get clock(): Clock {
    return this.#parts.clock;
  }

  obtain(keys: JwtKeys): Jwks {
    const name = JSON.stringify(keys);
    let known = this.#all.get(name);
    if (known === undefined) {
      // Whole generations of policies pass by; the oldest are the least likely to be needed.
      if (this.#all.size >= maxIssuers) this.#all.delete(this.#all.keys().next().value!);
      known = new Jwks(keys, this.#parts);
      this.#all.set(name, known);
    }
    return known;
  }
}

const maxIssuers = 256;
