import type { CancelTimer, Clock } from "../../../common/base/clock.ts";

/** Longer timers overflow in Node and fire at once. */
const longestSleepMs = 2 ** 31 - 1;

/**
 * One point in time per connection that moves with every byte. Moving it later costs an assignment: the timer that is
 * armed already wakes up early, sees that the deadline moved, and sleeps again. So a busy connection arms a timer once per
 * time-out and not once per request.
 */
export class Deadline {
  readonly #clock: Clock;
  readonly #onExpire: () => void;
  /** Monotonic ms. */
  #at = Number.POSITIVE_INFINITY;
  #armedFor = Number.POSITIVE_INFINITY;
  #cancel: CancelTimer | undefined = undefined;

  constructor(clock: Clock, onExpire: () => void) {
    this.#clock = clock;
    this.#onExpire = onExpire;
  }

  /** Monotonic ms at which it expires; Infinity when it never does. */
  get at(): number {
    return this.#at;
  }

  /** Moves the deadline to `at` (monotonic ms); `now` is the present, which callers have at hand. Infinity turns it off. */
  set(at: number, now: number): void {
    this.#at = at;
    if (at < this.#armedFor) this.#arm(now);
  }

  /** Never expires again and leaves no timer behind. */
  stop(): void {
    this.#at = Number.POSITIVE_INFINITY;
    this.#armedFor = Number.NEGATIVE_INFINITY;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #arm(now: number): void {
    this.#cancel?.();
    this.#armedFor = this.#at;
    const sleepMs = Math.min(Math.max(1, Math.ceil(this.#at - now)), longestSleepMs);
    this.#cancel = this.#clock.after(sleepMs, () => this.#wake());
  }

  #wake(): void {
    this.#cancel = undefined;
    this.#armedFor = Number.POSITIVE_INFINITY;
    if (this.#at === Number.POSITIVE_INFINITY) return;
    const now = this.#clock.monotonic();
    // Half a millisecond of grace: timers may fire a fraction early, and arming again for that is waste.
    if (now + 0.5 >= this.#at) {
      this.#at = Number.POSITIVE_INFINITY;
      this.#onExpire();
    } else this.#arm(now);
  }
}
