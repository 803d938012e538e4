import type { CircuitView } from "../telemetry/circuit-metrics.ts";

/** One circuit breaker as it is now. */
export interface CircuitStatus {
  readonly breaker: string;
  readonly cluster: string;
  readonly state: CircuitView["state"];
  readonly opened: number;
  readonly closed: number;
  readonly shortCircuited: number;
  readonly fallbacks: number;
}

export function circuitStatuses(circuits: Iterable<CircuitView>): readonly CircuitStatus[] {
  return Array.from(circuits, ({ policy, cluster, state, transitions, shortCircuited, fallbacks }) => ({
    breaker: policy.name,
    cluster,
    state,
    opened: transitions.open,
    closed: transitions.closed,
    shortCircuited,
    fallbacks,
  }));
}

/** Lines of `cluster::breaker::name::value`, as the page of clusters has them. */
export function printCircuits(statuses: readonly CircuitStatus[]): string {
  return statuses
    .flatMap(({ breaker, cluster, ...facts }) =>
      Object.entries(facts).map(([name, value]) => `${cluster}::${breaker}::${name}::${value}`),
    )
    .join("\n");
}
