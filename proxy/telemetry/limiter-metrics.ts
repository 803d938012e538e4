import type { MetricRegistry } from "./metric-registry.ts";

/** What a rate limit shows of itself. */
export interface LimiterView {
  readonly rule: { readonly name: string };
  readonly allowed: number;
  readonly limited: number;
  /** Buckets in use. */
  readonly keys: number;
  /** Of a limit that proxies share; undefined of others. False: it goes by its own part, because no lease holds. */
  readonly isLeased?: boolean;
  readonly leasedKeys?: number;
  /** Proxies that share it, as last heard. */
  readonly proxies?: number;
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
  const ofShared = (name: string, help: string, read: (limiter: LimiterView) => number) =>
    registry.family({
      name,
      help,
      type: "gauge",
      samples: () =>
        Array.from(limiters).flatMap((limiter) =>
          limiter.isLeased === undefined
            ? []
            : [{ suffix: "", labels: { limit: limiter.rule.name }, value: read(limiter) }],
        ),
    });
  ofShared(
    "weft_rate_limit_leased",
    "1 while a global limit goes by a lease, 0 while by this proxy's even part.",
    ({ isLeased }) => (isLeased ? 1 : 0),
  );
  ofShared(
    "weft_rate_limit_leased_keys",
    "Keys of a global limit that have a lease of their own.",
    ({ leasedKeys = 0 }) => leasedKeys,
  );
  ofShared(
    "weft_rate_limit_proxies",
    "Proxies that share a global limit, as last heard.",
    ({ proxies = 0 }) => proxies,
  );
}
