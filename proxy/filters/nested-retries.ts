import type { Exchange, Response } from "../http/exchange.ts";
import type { Layer } from "../http/layer.ts";
import { attemptHeader, retryVerdictHeader } from "../http/retry-headers.ts";

/**
 * Keeps the retries of several hops from multiplying. A workload's outgoing requests belong to the incoming one with the same
 * `x-request-id`, which workloads pass on for tracing anyway. So a sidecar knows two things that its workload does not say: that a
 * request is made for one that is itself a retry (then it is not retried here), and that the workload failed because of a request
 * that was retried here in vain (then its answer says so, and nobody further up retries). Nothing is kept while nothing fails.
 */
export class NestedRetries {
  /** Requests under way to the workload that are retries, by id; ids may come twice. */
  readonly #retries = new Map<string, number>();
  /** Requests of the workload that failed for good, by id, oldest first. */
  readonly #inVain = new Set<string>();

  /** Inbound: reads the mark of a retry and keeps it from the workload. */
  readonly readAttempt: Layer = (next) => (exchange) => {
    if (exchange.headers.has(attemptHeader)) this.#begin(exchange);
    return next(exchange);
  };

  /** Inbound: the workload's answer is a failure. */
  judge(exchange: Exchange, response: Response): void {
    if (this.#inVain.size === 0) return;
    const id = idOf(exchange);
    if (id !== undefined && this.#inVain.delete(id)) response.headers.set(retryVerdictHeader, "no");
  }

  /** Outbound: whether the request is a retry, by its own mark or by the request that the workload works on. */
  isRetry(exchange: Exchange): boolean {
    if (exchange.headers.has(attemptHeader)) return true;
    if (this.#retries.size === 0) return false;
    const id = idOf(exchange);
    return id !== undefined && this.#retries.has(id);
  }

  /** Outbound: the request failed and is not retried any more. */
  giveUp(exchange: Exchange): void {
    const id = idOf(exchange);
    if (id === undefined) return;
    this.#inVain.add(id);
    if (this.#inVain.size > maxKept) this.#inVain.delete(this.#inVain.values().next().value!);
  }

  #begin(exchange: Exchange): void {
    exchange.headers.remove(attemptHeader);
    const id = idOf(exchange);
    if (id === undefined) return;
    this.#retries.set(id, (this.#retries.get(id) ?? 0) + 1);
    exchange.onFinish(() => {
      const left = this.#retries.get(id)! - 1;
      if (left > 0) this.#retries.set(id, left);
      else this.#retries.delete(id);
    });
  }
}

/** Requests of a workload that has no incoming one (a job, a gateway) are never asked for again. */
const maxKept = 1024;

function idOf(exchange: Exchange): string | undefined {
  return exchange.headers.get("x-request-id");
}
