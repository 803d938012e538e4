import type { LimiterView } from "../telemetry/limiter-metrics.ts";

/** One rate limit as it is now. */
export interface LimitStatus {
  readonly limit: string;
  readonly allowed: number;
  readonly limited: number;
  /** Buckets in use. */
  readonly keys: number;
  /** Of a limit that proxies share: what it goes by, and how many share it. */
  readonly shared?: {
    readonly by: "lease" | "even part";
    readonly leasedKeys: number;
    readonly proxies: number;
  };
}

export function limitStatuses(limiters: Iterable<LimiterView>): readonly LimitStatus[] {
  return Array.from(limiters, ({ rule, allowed, limited, keys, isLeased, leasedKeys = 0, proxies = 0 }) => ({
    limit: rule.name,
    allowed,
    limited,
    keys,
    ...(isLeased !== undefined && {
      shared: { by: isLeased ? ("lease" as const) : ("even part" as const), leasedKeys, proxies },
    }),
  }));
}

/** Lines of `limit::name::value`, as the page of clusters has them. */
export function printLimits(statuses: readonly LimitStatus[]): string {
  return statuses
    .flatMap(({ limit, shared, ...facts }) =>
      Object.entries({ ...facts, ...shared }).map(([name, value]) => `${limit}::${name}::${value}`),
    )
    .join("\n");
}
