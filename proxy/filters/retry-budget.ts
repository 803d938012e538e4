import type { Cluster } from "../../common/model/cluster.ts";
import { defaultRetryBudget } from "../../common/model/connection-pool.ts";

type RetryLimits = Pick<Cluster, "connectionPool" | "retryBudget">;

/**
 * Keeps retries from multiplying the load on a destination that is failing already. Counted per cluster, over all routes to it: by
 * default a fifth of the requests under way may be retries, and three always (Envoy's retry_budget); or a fixed number (max_retries).
 */
export class RetryBudget {
  #active = 0;
  #retrying = 0;
  readonly #limits: () => RetryLimits | undefined;

  /** `limits` is asked at each retry, so that new config counts at once; undefined means the default. */
  constructor(limits: () => RetryLimits | undefined = () => undefined) {
    this.#limits = limits;
  }

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
    if (this.#retrying >= this.#maximum()) return false;
    this.#retrying++;
    return true;
  }

  #maximum(): number {
    const limits = this.#limits();
    const fixed = limits?.connectionPool?.maxRetries;
    if (limits?.retryBudget === undefined && fixed !== undefined) return fixed;
    const { fraction, minConcurrency } = limits?.retryBudget ?? defaultRetryBudget;
    return Math.max(minConcurrency, fraction * this.#active);
  }
}

/** The budgets of a proxy, one per cluster, whatever becomes of the routes to it. */
export class RetryBudgets {
  readonly #limitsOf: (cluster: string) => RetryLimits | undefined;
  readonly #byCluster = new Map<string, RetryBudget>();

  constructor(limitsOf: (cluster: string) => RetryLimits | undefined) {
    this.#limitsOf = limitsOf;
  }

  of(cluster: string): RetryBudget {
    let budget = this.#byCluster.get(cluster);
    if (budget === undefined) {
      budget = new RetryBudget(() => this.#limitsOf(cluster));
      this.#byCluster.set(cluster, budget);
    }
    return budget;
  }
}
