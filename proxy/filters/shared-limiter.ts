import type { Clock } from "../../common/base/clock.ts";
import type { RateLimitRule } from "../../common/model/rate-limit.ts";
import type { RuleDemand, RuleLease } from "../../common/xds/lease-service.ts";
import { maxLeasedKeys } from "../../common/xds/lease-service.ts";
import type { Exchange } from "../http/exchange.ts";
import type { Quota } from "./limiter.ts";
import { keyOf } from "./rate-limit-key.ts";

/** The share of a limit that a proxy goes by which has never heard how many share it. */
const shareOfTheLonely = 0.1;

/** ms over which requests are counted for a report. */
const demandWindowMs = 1_000;

/** ms that a request for a key without a lease waits for one before it is refused. */
const maxWaitMs = 250;

interface Bucket {
  free: number;
  at: number;
  /** What it was filled by since `at`. */
  share: number;
  /** Leased for this very key; counts while the rule's lease does. */
  leased: number | undefined;
  asked: number;
  askedSince: number;
  /** Requests a second. */
  demand: number;
}

/**
 * The buckets of a rule that all proxies share. Each holds the share that the control plane leased to this proxy, by what it reported; without
 * a lease for its key the small share that everybody has, and while the control plane is away this proxy's even part. So that nobody has
 * to be asked on the way of a request, but for the first that are too many for a key: those wait for a lease.
 */
export class SharedLimiter {
  readonly rule: RateLimitRule;
  allowed = 0;
  limited = 0;
  /** How many proxies share the rule, as last heard; 0: never. */
  proxies = 0;

  readonly #clock: Clock;
  /** Says that a key wants a lease soon. */
  readonly #askSoon: () => void;
  /** Least recently used first. */
  readonly #buckets = new Map<string, Bucket>();
  readonly #waiting = new Map<string, (() => void)[]>();
  #otherShare = 0;
  #leasedUntil = Number.NEGATIVE_INFINITY;

  constructor(rule: RateLimitRule, clock: Clock, askSoon: () => void) {
    this.rule = rule;
    this.#clock = clock;
    this.#askSoon = askSoon;
  }

  get keys(): number {
    return this.#buckets.size;
  }

  /** Keys that have a lease of their own now. */
  get leasedKeys(): number {
    if (!this.isLeased) return 0;
    let count = 0;
    for (const { leased } of this.#buckets.values()) if (leased !== undefined) count++;
    return count;
  }

  /** False while it goes by its own part, because the control plane is away. */
  get isLeased(): boolean {
    return this.#clock.monotonic() < this.#leasedUntil;
  }

  keyOf(exchange: Exchange): string {
    return keyOf(this.rule, exchange);
  }

  mayPass(key: string): boolean {
    return this.#refill(this.#obtain(key)).free >= 1 - rounding;
  }

  take(key: string): void {
    const bucket = this.#obtain(key);
    bucket.free -= 1;
    bucket.asked++;
    this.allowed++;
  }

  /** A request was refused. */
  refused(key: string): void {
    this.#obtain(key).asked++;
    this.limited++;
  }

  /** For a key that has no tokens only because nobody knows yet that it wants some: when that has changed. */
  settled(key: string): Promise<void> | undefined {
    const bucket = this.#obtain(key);
    if (!this.isLeased || bucket.leased !== undefined) return undefined;
    const waiting = this.#waiting.get(key);
    if (waiting !== undefined && waiting.length >= maxWaiting) return undefined;
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        resolve();
      };
      const cancel = this.#clock.after(maxWaitMs, done);
      if (waiting === undefined) this.#waiting.set(key, [done]);
      else waiting.push(done);
      // Counted, or the report would not name it.
      bucket.asked++;
      this.#askSoon();
    });
  }

  quota(key: string): Quota {
    const bucket = this.#refill(this.#obtain(key));
    const perMs = this.#perMs(bucket.share);
    return {
      remaining: Math.max(0, Math.floor(bucket.free + rounding)),
      resetSeconds: Math.ceil((this.#capacity(bucket.share) - bucket.free) / perMs / 1000),
      retrySeconds: Math.max(0, Math.ceil((1 - bucket.free - rounding) / perMs / 1000)),
    };
  }

  /** What this proxy needs. Keys whose requests have ended are reported once more, without any. */
  report(): RuleDemand {
    const now = this.#clock.monotonic();
    const keys: [string, number][] = [];
    for (const [key, bucket] of this.#buckets) {
      const elapsedMs = now - bucket.askedSince;
      if (elapsedMs >= demandWindowMs) {
        bucket.demand = (bucket.asked * 1000) / elapsedMs;
        bucket.asked = 0;
        bucket.askedSince = now;
      }
      if (bucket.demand > 0) keys.push([key, bucket.demand]);
    }
    if (keys.length > maxLeasedKeys) keys.sort((a, b) => b[1] - a[1]).length = maxLeasedKeys;
    const { name, requests, perMs, burst } = this.rule;
    return { rule: name, perSecond: (requests * 1000) / perMs, burst, proxies: this.proxies, keys };
  }

  /** Goes by a lease for `ttlMs`. */
  apply({ proxies, otherShare, keys }: RuleLease, ttlMs: number): void {
    const leases = new Map(keys.map(([key, share, tokens]) => [key, { share, tokens }]));
    // Everything until now was filled by the shares before.
    for (const bucket of this.#buckets.values()) this.#refill(bucket);
    this.proxies = proxies;
    this.#otherShare = otherShare;
    this.#leasedUntil = this.#clock.monotonic() + ttlMs;
    for (const [key, bucket] of this.#buckets) {
      const lease = leases.get(key);
      bucket.leased = lease?.share;
      bucket.share = this.#shareOf(bucket);
      const most = this.#capacity(bucket.share);
      bucket.free = Math.min(most, bucket.free + (lease?.tokens ?? 0));
    }
    for (const [key, waiting] of this.#waiting) {
      if (!leases.has(key)) continue;
      this.#waiting.delete(key);
      for (const done of waiting) done();
    }
  }

  /** Lets nobody wait for a lease any more; the control plane is away. */
  stopWaiting(): void {
    for (const waiting of this.#waiting.values()) for (const done of waiting) done();
    this.#waiting.clear();
  }

  #obtain(key: string): Bucket {
    let bucket = this.#buckets.get(key);
    if (bucket !== undefined) {
      this.#buckets.delete(key);
      this.#buckets.set(key, bucket);
      return bucket;
    }
    const now = this.#clock.monotonic();
    if (this.#buckets.size >= this.rule.maxKeys) {
      const [oldest, old] = this.#buckets.entries().next().value!;
      this.#refill(old);
      // All buckets are in use: further keys share one.
      if (old.free < this.#capacity(old.share)) return key === sharedKey ? old : this.#obtain(sharedKey);
      this.#buckets.delete(oldest);
    }
    bucket = { free: 0, at: now, share: 0, leased: undefined, asked: 0, askedSince: now, demand: 0 };
    bucket.share = this.#shareOf(bucket);
    bucket.free = this.#capacity(bucket.share);
    this.#buckets.set(key, bucket);
    return bucket;
  }

  #refill(bucket: Bucket): Bucket {
    const now = this.#clock.monotonic();
    const filled = bucket.free + (now - bucket.at) * this.#perMs(bucket.share);
    bucket.at = now;
    bucket.share = this.#shareOf(bucket);
    bucket.free = Math.min(this.#capacity(bucket.share), filled);
    return bucket;
  }

  #shareOf({ leased }: Bucket): number {
    if (this.isLeased) return leased ?? this.#otherShare;
    return this.proxies === 0 ? shareOfTheLonely : 1 / this.proxies;
  }

  /** Tokens per ms. */
  #perMs(share: number): number {
    return (this.rule.requests * share) / this.rule.perMs;
  }

  /** At least one: a share of a small limit must let something through, some time. */
  #capacity(share: number): number {
    return Math.max(1, this.rule.burst * share);
  }
}

/** Requests that may wait for one key's lease. */
const maxWaiting = 1_000;

const sharedKey = "\u0000shared";

/** Sums of fractions are a little off. */
const rounding = 1e-6;
