/** Part of the active requests that may be retries at one time. */
const share = 0.2;
/** Retries that are always allowed, so that little traffic can be retried too. */
const minimum = 3;

/** Keeps retries from multiplying the load on a destination that is failing already (Envoy's retry_budget). One per route and destination. */
export class RetryBudget {
  #active = 0;
  #retrying = 0;

  /** A request begins; `finish` ends it. */
  begin(): void {
    this.#active++;
  }

  finish(isRetrying: boolean): void {
    this.#active--;
    if (isRetrying) this.#retrying--;
  }

  /** Whether one more request may turn into a retry; if so it counts as one until `finish`. */
  tryRetry(): boolean {
    if (this.#retrying >= Math.max(minimum, share * this.#active)) return false;
    this.#retrying++;
    return true;
  }
}
