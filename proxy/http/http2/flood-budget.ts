/**
 * How much of something that costs us more than it costs the peer a connection may have: a bucket that fills with time and with
 * useful work, so that busy connections may have more of it than idle ones.
 */
export class FloodBudget {
  readonly #most: number;
  readonly #perMs: number;
  #left: number;
  #at: number;

  /** `most`: how many at once; `perSecond`: how many come back; `now`: monotonic ms. */
  constructor(most: number, perSecond: number, now: number) {
    this.#most = most;
    this.#perMs = perSecond / 1000;
    this.#left = most;
    this.#at = now;
  }

  /** Takes one; false when there is none left. */
  spend(now: number): boolean {
    if (this.#left < 1) {
      this.#left = Math.min(this.#most, this.#left + (now - this.#at) * this.#perMs);
      this.#at = now;
      if (this.#left < 1) return false;
    }
    this.#left--;
    return true;
  }

  /** Something useful was done. */
  earn(count: number): void {
    if (this.#left < this.#most) this.#left += count;
  }
}
