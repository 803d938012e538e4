import type { MetricLabels, MetricRegistry, MetricSample } from "./metric-registry.ts";

/** What a circuit shows of itself. */
export interface CircuitView {
  readonly policy: { readonly name: string };
  readonly cluster: string;
  readonly state: "closed" | "open" | "half-open";
  /** By the state entered. */
  readonly transitions: Readonly<Record<"closed" | "open" | "half-open", number>>;
  readonly shortCircuited: number;
  readonly fallbacks: number;
}

const stateNumbers = { closed: 0, "half-open": 1, open: 2 } as const;

/** The circuit breakers' metrics, read at each scrape. */
export function circuitMetrics(registry: MetricRegistry, circuits: Iterable<CircuitView>): void {
  const family = (
    name: string,
    help: string,
    type: "counter" | "gauge",
    samplesOf: (circuit: CircuitView, labels: MetricLabels) => MetricSample[],
  ) =>
    registry.family({
      name,
      help,
      type,
      samples: () => Array.from(circuits, (circuit) => samplesOf(circuit, labelsOf(circuit))).flat(),
    });
  family("weft_circuit_breaker_state", "0 closed, 1 half-open, 2 open.", "gauge", ({ state }, labels) => [
    { suffix: "", labels, value: stateNumbers[state] },
  ]);
  family(
    "weft_circuit_breaker_transitions_total",
    "Changes of state, by the state entered.",
    "counter",
    ({ transitions }, labels) =>
      Object.entries(transitions).map(([to, value]) => ({ suffix: "", labels: { ...labels, to }, value })),
  );
  family(
    "weft_circuit_breaker_short_circuited_total",
    "Requests that an open circuit held back.",
    "counter",
    ({ shortCircuited }, labels) => [{ suffix: "", labels, value: shortCircuited }],
  );
  family(
    "weft_circuit_breaker_fallback_total",
    "Requests that the fallback answered.",
    "counter",
    ({ fallbacks }, labels) => [{ suffix: "", labels, value: fallbacks }],
  );
}

function labelsOf({ policy, cluster }: CircuitView): MetricLabels {
  return { breaker: policy.name, cluster };
}
