import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../../common/base/clock.ts";
import type { RateLimitRule } from "../../common/model/rate-limit.ts";
import { Limiter } from "./limiter.ts";

/** All rate limits of a proxy by name: routes that have the same rule count together. Outlives changes of routes. */
export class LimiterSet {
  readonly #clock: Clock;
  readonly #limiters = new Map<string, Limiter>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  [Symbol.iterator](): Iterator<Limiter> {
    return this.#limiters.values();
  }

  /** The rule's buckets. A rule that changed under its name begins with full ones. */
  obtain(rule: RateLimitRule): Limiter {
    const known = this.#limiters.get(rule.name);
    if (known !== undefined && isDeepStrictEqual(known.rule, rule)) return known;
    const limiter = new Limiter(rule, this.#clock);
    this.#limiters.set(rule.name, limiter);
    return limiter;
  }

  /** Drops those that no route has any more. To be called now and then. */
  forgetUnless(isNamed: (rule: string) => boolean): void {
    for (const name of this.#limiters.keys()) if (!isNamed(name)) this.#limiters.delete(name);
  }
}
