import type { MetricRegistry } from "./metric-registry.ts";

/** What policies have decided so far. */
export interface AccessCountView {
  readonly policy: string;
  readonly result: string;
  readonly count: number;
}

/** The metrics of authorization, read at each scrape. */
export function accessMetrics(registry: MetricRegistry, counts: Iterable<AccessCountView>): void {
  registry.family({
    name: "weft_authorization_total",
    help: "Requests and connections that policies judged, by result and by the policy that decided.",
    type: "counter",
    samples: () =>
      Array.from(counts, ({ policy, result, count }) => ({
        suffix: "",
        labels: { policy, result },
        value: count,
      })),
  });
}
