/**
 * A peak-sensitive average of response times, as Finagle and linkerd keep it: a slower answer counts at once and in full, faster ones
 * bring the average down as time passes. Time without answers brings it down too, so whoever was slow is tried again.
 */
export class LatencyAverage {
  #ms = 0;
  #at = 0;
  #isMeasured = false;

  get isMeasured(): boolean {
    return this.#isMeasured;
  }

  /** An answer began `ms` after its request was sent; `now` is monotonic ms. */
  observe(ms: number, now: number): void {
    const faded = this.at(now);
    const kept = this.#isMeasured ? Math.exp(-(now - this.#at) / decayMs) : 0;
    this.#ms = ms > faded ? ms : faded + ms * (1 - kept);
    this.#at = now;
    this.#isMeasured = true;
  }

  /** ms. 0 while nothing was measured. */
  at(now: number): number {
    return this.#isMeasured ? this.#ms * Math.exp(-Math.max(0, now - this.#at) / decayMs) : 0;
  }

  /** Takes the endpoint for as slow as this for a while: it refused or failed, which is quick but no answer. */
  penalize(ms: number, now: number): void {
    if (ms > this.at(now)) this.observe(ms, now);
  }
}

/** After so long a measurement weighs 1/e (linkerd's and Finagle's 10 s). */
const decayMs = 10_000;
