import { hash } from "node:crypto";
import type { Clock } from "../../common/base/clock.ts";
import type { RateLimitKeyPart, RateLimitRule } from "../../common/model/rate-limit.ts";
import { pathEnd, queryParam } from "../../common/routing/request-view.ts";
import type { Exchange } from "../http/exchange.ts";

/** What a bucket says of itself to a client. */
export interface Quota {
  /** Whole requests that may come now. */
  readonly remaining: number;
  /** Seconds until the bucket is full again. */
  readonly resetSeconds: number;
  /** Seconds until one more request may come; 0 when it may now. */
  readonly retrySeconds: number;
}

/**
 * The token buckets of one rule, one per key. A bucket is a single number, the time at which it will be full (the generic cell rate
 * algorithm, ITU-T I.371), so a bucket that is full needs none. Keys are bounded: when all buckets are in use, further keys share
 * one, so that making keys up neither fills the memory nor gets around the limit.
 */
export class Limiter {
  readonly rule: RateLimitRule;
  allowed = 0;
  limited = 0;

  readonly #clock: Clock;
  /** ms per token. */
  readonly #tokenMs: number;
  readonly #fullMs: number;
  /** Key → monotonic ms when it will be full. Least recently used first. */
  readonly #fullAt = new Map<string, number>();
  #sharedFullAt = 0;

  constructor(rule: RateLimitRule, clock: Clock) {
    this.rule = rule;
    this.#clock = clock;
    this.#tokenMs = rule.perMs / rule.requests;
    this.#fullMs = rule.burst * this.#tokenMs;
  }

  /** Buckets in use. */
  get keys(): number {
    return this.#fullAt.size;
  }

  keyOf(exchange: Exchange): string {
    const { key } = this.rule;
    if (key.length === 0) return "";
    const text =
      key.length === 1 ? part(key[0]!, exchange) : JSON.stringify(key.map((each) => part(each, exchange)));
    // A key as long as a header may be would cost memory beyond what the number of keys promises.
    return text.length > longestKey ? hash("sha256", text) : text;
  }

  /** Whether a request may come now. Takes nothing, because other rules may refuse it. */
  mayPass(key: string): boolean {
    const now = this.#clock.monotonic();
    return this.#busyMs(key, now) + this.#tokenMs <= this.#fullMs + rounding;
  }

  /** Takes a token; to be called after `mayPass`. */
  take(key: string): void {
    const now = this.#clock.monotonic();
    const fullAt = now + this.#busyMs(key, now) + this.#tokenMs;
    this.allowed++;
    if (this.#fullAt.delete(key) || this.#makeRoom(now)) this.#fullAt.set(key, fullAt);
    else this.#sharedFullAt = fullAt;
  }

  quota(key: string): Quota {
    const busyMs = this.#busyMs(key, this.#clock.monotonic());
    const freeMs = this.#fullMs - busyMs;
    return {
      remaining: Math.max(0, Math.floor((freeMs + rounding) / this.#tokenMs)),
      resetSeconds: Math.ceil(busyMs / 1000),
      retrySeconds: Math.max(0, Math.ceil((this.#tokenMs - freeMs - rounding) / 1000)),
    };
  }

  /** How long until the bucket is full. */
  #busyMs(key: string, now: number): number {
    const known = this.#fullAt.get(key);
    const isShared = known === undefined && !this.#makeRoom(now);
    return Math.max(0, (isShared ? this.#sharedFullAt : (known ?? 0)) - now);
  }

  /** True when one more bucket may be made; full ones that nobody used for longest go. */
  #makeRoom(now: number): boolean {
    if (this.#fullAt.size < this.rule.maxKeys) return true;
    for (const [key, fullAt] of this.#fullAt) {
      if (fullAt > now) return false;
      this.#fullAt.delete(key);
      return true;
    }
    return true;
  }
}

function part(key: RateLimitKeyPart, exchange: Exchange): string {
  switch (key.kind) {
    case "header":
      return exchange.header(key.name) ?? "";
    case "query":
      return queryParam(exchange.path, key.name) ?? "";
    case "path":
      return exchange.path.slice(0, pathEnd(exchange.path));
    case "method":
      return exchange.method;
    case "host":
      return exchange.authority.toLowerCase();
    case "source-address":
      return exchange.downstream.remote.host;
    case "source-workload":
      return exchange.peer === undefined ? "" : `${exchange.peer.namespace}/${exchange.peer.name}`;
  }
}

const longestKey = 128;

/** ms; sums of fractions of ms are a little off. */
const rounding = 1e-6;
