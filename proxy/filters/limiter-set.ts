import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../../common/base/clock.ts";
import type { RateLimitRule } from "../../common/model/rate-limit.ts";
import { Limiter } from "./limiter.ts";
import { SharedLimiter } from "./shared-limiter.ts";

/** All rate limits of a proxy by name: routes that have the same rule count together. Outlives changes of routes. */
export class LimiterSet {
  readonly #clock: Clock;
  readonly #askSoon: () => void;
  readonly #limiters = new Map<string, Limiter | SharedLimiter>();

  /** `askSoon`: a limit that proxies share wants to report before its time. */
  constructor(clock: Clock, askSoon: () => void = () => {}) {
    this.#clock = clock;
    this.#askSoon = askSoon;
  }

  [Symbol.iterator](): Iterator<Limiter | SharedLimiter> {
    return this.#limiters.values();
  }

  /** Those that proxies share. */
  get shared(): readonly SharedLimiter[] {
    return [...this.#limiters.values()].filter((limiter) => limiter instanceof SharedLimiter);
  }

  /** The rule's buckets. A rule that changed under its name begins with full ones. */
  obtain(rule: RateLimitRule): Limiter | SharedLimiter {
    const known = this.#limiters.get(rule.name);
    if (known !== undefined && isDeepStrictEqual(known.rule, rule)) return known;
    const limiter = rule.global
      ? new SharedLimiter(rule, this.#clock, this.#askSoon)
      : new Limiter(rule, this.#clock);
    this.#limiters.set(rule.name, limiter);
    return limiter;
  }

  /** Drops those that no route has any more. To be called now and then. */
  forgetUnless(isNamed: (rule: string) => boolean): void {
    for (const name of this.#limiters.keys()) if (!isNamed(name)) this.#limiters.delete(name);
  }
}
