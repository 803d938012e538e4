import type { Clock } from "../../common/base/clock.ts";
import type { RateLimitRule } from "../../common/model/rate-limit.ts";
import type { Exchange } from "../http/exchange.ts";
import { keyOf } from "./rate-limit-key.ts";

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
    return keyOf(this.rule, exchange);
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

  /** A request was refused. */
  refused(_key: string): void {
    this.limited++;
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

/** ms; sums of fractions of ms are a little off. */
const rounding = 1e-6;
