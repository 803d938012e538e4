import type { Clock } from "../../common/base/clock.ts";
import type { Cluster } from "../../common/model/cluster.ts";
import { defaultRetryBudget } from "../../common/model/connection-pool.ts";

type RetryLimits = Pick<Cluster, "connectionPool" | "retryBudget">;

/** ms that requests and retries are remembered for, at least, where the budget names no interval. */
const defaultWindowMs = 5_000;

/**
 * Keeps retries from multiplying the load on a destination that is failing already. Counted per cluster, over all routes to it: by
 * default a fifth of the requests under way may be retries, and three always (Envoy's retry_budget). Retries that fail fast pass that
 * bound one after the other, so the same share bounds their number over the last seconds too. What never reached the application puts no
 * load on it: it is outside of the number, and of the default budget altogether. Or a fixed number at a time (max_retries).
 */
export class RetryBudget {
  #active = 0;
  #retrying = 0;
  #requests = 0;
  #retries = 0;
  #before = { requests: 0, retries: 0 };
  #windowStart = 0;
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #limits: () => RetryLimits | undefined;

  /** `limits` is asked at each retry, so that new config counts at once; undefined means the default. */
  constructor(clock: Pick<Clock, "monotonic">, limits: () => RetryLimits | undefined = () => undefined) {
    this.#clock = clock;
    this.#windowStart = clock.monotonic();
    this.#limits = limits;
  }

  /** A request begins; `finish` ends it. */
  begin(): void {
    this.#active++;
    this.#requests++;
  }

  finish(isRetrying: boolean): void {
    this.#active--;
    if (isRetrying) this.#retrying--;
  }

  /**
   * Whether a request may be tried once more; if so it counts as a retry until `finish`. `isFirst`: it is its first. `isUnsent`: nothing of
   * the attempt before reached the application.
   */
  tryRetry(isFirst: boolean, isUnsent: boolean): boolean {
    const limits = this.#limits();
    const fixed = limits?.retryBudget === undefined ? limits?.connectionPool?.maxRetries : undefined;
    const { fraction, minConcurrency } = limits?.retryBudget ?? defaultRetryBudget;
    const isExempt = isUnsent && limits?.retryBudget === undefined && fixed === undefined;
    const intervalMs = limits?.retryBudget?.intervalMs;
    this.#turnWindow(intervalMs ?? defaultWindowMs);
    const requests = this.#before.requests + this.#requests;
    const underWay = intervalMs === undefined ? this.#active : Math.max(this.#active, requests);
    const atOnce = fixed ?? Math.max(minConcurrency, fraction * underWay);
    if (isFirst && !isExempt && this.#retrying >= atOnce) return false;
    if (!isUnsent) {
      const retries = this.#before.retries + this.#retries;
      if (fixed === undefined && retries + 1 > Math.max(minConcurrency, fraction * requests)) return false;
      this.#retries++;
    }
    if (isFirst) this.#retrying++;
    return true;
  }

  /** Done only when something fails, so a window may have been long; then its average counts. */
  #turnWindow(windowMs: number): void {
    const now = this.#clock.monotonic();
    const elapsedMs = now - this.#windowStart;
    if (elapsedMs < windowMs) return;
    this.#before = {
      requests: (this.#requests * windowMs) / elapsedMs,
      retries: elapsedMs < 2 * windowMs ? this.#retries : 0,
    };
    this.#requests = 0;
    this.#retries = 0;
    this.#windowStart = now;
  }
}

/** The budgets of a proxy, one per cluster, whatever becomes of the routes to it. */
export class RetryBudgets {
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #limitsOf: (cluster: string) => RetryLimits | undefined;
  readonly #byCluster = new Map<string, RetryBudget>();

  constructor(clock: Pick<Clock, "monotonic">, limitsOf: (cluster: string) => RetryLimits | undefined) {
    this.#clock = clock;
    this.#limitsOf = limitsOf;
  }

  of(cluster: string): RetryBudget {
    let budget = this.#byCluster.get(cluster);
    if (budget === undefined) {
      budget = new RetryBudget(this.#clock, () => this.#limitsOf(cluster));
      this.#byCluster.set(cluster, budget);
    }
    return budget;
  }
}
