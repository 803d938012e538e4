import type { CancelTimer, Clock } from "../../common/base/clock.ts";

export interface PaceLimits {
  /** What may come at once. */
  readonly burst: number;
  /** What may come per second on average. */
  readonly perSecond: number;
}

/** A bucket of tokens: how much one caller may ask of us in a time. */
export class Pace {
  readonly #limits: PaceLimits;
  readonly #clock: Clock;
  #tokens: number;
  #at: number;

  constructor(limits: PaceLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
    this.#tokens = limits.burst;
    this.#at = clock.monotonic();
  }

  /** Takes `cost`, also when there is less. Answers with the ms until there is something again; 0: there still is. */
  take(cost: number): number {
    this.#refill();
    this.#tokens -= cost;
    return this.#tokens > 0 ? 0 : Math.ceil(((1 - this.#tokens) * 1000) / this.#limits.perSecond);
  }

  /** Takes 1 when there is one. */
  tryTake(): boolean {
    this.#refill();
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  get isFull(): boolean {
    this.#refill();
    return this.#tokens >= this.#limits.burst;
  }

  #refill(): void {
    const now = this.#clock.monotonic();
    const { burst, perSecond } = this.#limits;
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#at) * perSecond) / 1000);
    this.#at = now;
  }
}

/** A stream that can be left unread for a while. */
interface Pausable {
  pause(): unknown;
  resume(): unknown;
}

/**
 * Reads a stream no faster than a pace. Who floods us is not cut off, which would only make it come back: its requests stay in its
 * own buffers, because HTTP/2 lets no more in than we have read.
 */
export class PacedReader {
  readonly #stream: Pausable;
  readonly #pace: Pace;
  readonly #clock: Clock;
  #cancel: CancelTimer | undefined = undefined;

  constructor(stream: Pausable, limits: PaceLimits, clock: Clock) {
    this.#stream = stream;
    this.#pace = new Pace(limits, clock);
    this.#clock = clock;
  }

  /** To be called per message; 1 is an ordinary one. */
  took(cost: number): void {
    const waitMs = this.#pace.take(cost);
    if (waitMs === 0 || this.#cancel !== undefined) return;
    this.#stream.pause();
    this.#cancel = this.#clock.after(waitMs, () => {
      this.#cancel = undefined;
      this.#stream.resume();
    });
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
