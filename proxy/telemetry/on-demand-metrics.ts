import type { MetricRegistry } from "./metric-registry.ts";

/** What a sidecar that asks for hosts at first use shows of that. */
export interface OnDemandView {
  /** Names that mean a virtual host, that mean none, and that were asked for and not answered yet. */
  readonly known: number;
  readonly absent: number;
  readonly asked: number;
  /** Requests that waited for an answer, by whether it came. */
  readonly answered: number;
  readonly unanswered: number;
}

/** Read at each scrape. */
export function onDemandMetrics(registry: MetricRegistry, view: () => OnDemandView): void {
  registry.family({
    name: "weft_on_demand_hosts",
    help: "Hosts that requests named, by what the control plane said of them.",
    type: "gauge",
    samples: () => {
      const { known, absent, asked } = view();
      return Object.entries({ known, absent, asked }).map(([state, value]) => ({
        suffix: "",
        labels: { state },
        value,
      }));
    },
  });
  registry.family({
    name: "weft_on_demand_waits_total",
    help: "Requests that waited for the control plane to say what their host is, by result.",
    type: "counter",
    samples: () => {
      const { answered, unanswered } = view();
      return Object.entries({ answered, unanswered }).map(([result, value]) => ({
        suffix: "",
        labels: { result },
        value,
      }));
    },
  });
}
