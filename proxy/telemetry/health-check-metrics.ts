import type { UpstreamCluster } from "../cluster/upstream-cluster.ts";
import type { MetricRegistry, MetricSample } from "./metric-registry.ts";

/** What health checks did and found, of the clusters that have some; read at each scrape. */
export function healthCheckMetrics(registry: MetricRegistry, clusters: Iterable<UpstreamCluster>): void {
  const family = (
    name: string,
    help: string,
    type: "counter" | "gauge",
    read: (cluster: Checked) => number,
  ) =>
    registry.family({
      name,
      help,
      type,
      samples: () =>
        Array.from(clusters)
          .filter(isChecked)
          .map(
            (cluster): MetricSample => ({
              suffix: "",
              labels: { cluster: cluster.name },
              value: read(cluster),
            }),
          ),
    });
  family(
    "weft_health_check_attempts_total",
    "Health checks begun.",
    "counter",
    ({ checker }) => checker.attempts,
  );
  family(
    "weft_health_check_failures_total",
    "Health checks that failed, time-outs included.",
    "counter",
    ({ checker }) => checker.failures,
  );
  family(
    "weft_health_check_healthy",
    "Endpoints that pass their health checks now.",
    "gauge",
    ({ endpoints }) => [...endpoints].filter(({ health }) => health.isWell).length,
  );
}

type Checked = UpstreamCluster & { readonly checker: NonNullable<UpstreamCluster["checker"]> };

function isChecked(cluster: UpstreamCluster): cluster is Checked {
  return cluster.checker !== undefined;
}
