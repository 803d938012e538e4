import type { MetricRegistry } from "./metric-registry.ts";

/** What injected faults show of themselves. */
export interface FaultView {
  /** By what they did. */
  readonly injected: Readonly<Record<string, number>>;
  readonly active: number;
  readonly overflowed: number;
}

/** The injected faults' metrics, read at each scrape. */
export function faultMetrics(registry: MetricRegistry, faults: FaultView): void {
  registry.family({
    name: "weft_faults_injected_total",
    help: "Faults injected, by what they did.",
    type: "counter",
    samples: () =>
      Object.entries(faults.injected).map(([fault, value]) => ({ suffix: "", labels: { fault }, value })),
  });
  registry.gauge(
    "weft_faults_active",
    "Requests under way that have an injected fault.",
    () => faults.active,
  );
  registry.readCounter(
    "weft_faults_overflow_total",
    "Requests that the bound of active faults spared.",
    () => faults.overflowed,
  );
}
