import type { CancelTimer, Clock } from "../../common/base/clock.ts";

/**
 * Runs once for many calls that come close together: after `quietMs` without another, but no later than `maxDelayMs` after the
 * first. What cannot wait, such as the removal of an endpoint, is flushed at once and takes along what waited.
 */
export class Debounce {
  readonly #clock: Clock;
  readonly #quietMs: number;
  readonly #maxMs: number;
  readonly #run: () => void;
  #cancel: CancelTimer | undefined;
  /** Monotonic ms of the first call that still waits. */
  #since: number | undefined;

  constructor(
    clock: Clock,
    limits: { readonly quietMs: number; readonly maxDelayMs: number },
    run: () => void,
  ) {
    this.#clock = clock;
    this.#quietMs = limits.quietMs;
    this.#maxMs = limits.maxDelayMs;
    this.#run = run;
  }

  /** Monotonic ms of the oldest call that waits. */
  get since(): number | undefined {
    return this.#since;
  }

  call(): void {
    const now = this.#clock.monotonic();
    this.#since ??= now;
    this.#cancel?.();
    const wait = Math.max(0, Math.min(this.#quietMs, this.#since + this.#maxMs - now));
    this.#cancel = this.#clock.after(wait, () => this.flush());
  }

  /** Runs now, if anything waits. */
  flush(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#since === undefined) return;
    try {
      this.#run();
    } finally {
      this.#since = undefined;
    }
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#since = undefined;
  }
}
