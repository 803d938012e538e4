import type { MetricRegistry } from "./metric-registry.ts";

/** What a rate limit shows of itself. */
export interface LimiterView {
  readonly rule: { readonly name: string };
  readonly allowed: number;
  readonly limited: number;
  /** Buckets in use. */
  readonly keys: number;
}

/** The rate limits' metrics, read at each scrape. */
export function limiterMetrics(registry: MetricRegistry, limiters: Iterable<LimiterView>): void {
  registry.family({
    name: "weft_rate_limit_requests_total",
    help: "Requests that a rate limit judged, by result.",
    type: "counter",
    samples: () =>
      Array.from(limiters, ({ rule, allowed, limited }) => [
        { suffix: "", labels: { limit: rule.name, result: "allowed" }, value: allowed },
        { suffix: "", labels: { limit: rule.name, result: "limited" }, value: limited },
      ]).flat(),
  });
  registry.family({
    name: "weft_rate_limit_keys",
    help: "Buckets that a rate limit keeps.",
    type: "gauge",
    samples: () =>
      Array.from(limiters, ({ rule, keys }) => ({ suffix: "", labels: { limit: rule.name }, value: keys })),
  });
}
