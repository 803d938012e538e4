import type { HealthRecord } from "../cluster/health/health-record.ts";
import type { UpstreamCluster } from "../cluster/upstream-cluster.ts";

/** One upstream as it is now. */
export interface ClusterStatus {
  readonly name: string;
  readonly warm: boolean;
  readonly endpoints: readonly EndpointStatus[];
}

export interface EndpointStatus {
  readonly address: string;
  readonly health: "healthy" | "unhealthy" | "draining";
  /** Outlier detection leaves it alone for now. */
  readonly ejected: boolean;
  /** What health checks say of it; absent where there are none. */
  readonly checks?: "passing" | "failing" | "pending";
  /** Why the last check failed, such as `status 503`. */
  readonly checkFailure?: string;
  readonly weight: number;
  readonly workload: string;
  /** Under way or waiting for a connection. */
  readonly activeRequests: number;
  readonly totalRequests: number;
  readonly activeConnections: number;
  readonly totalConnections: number;
  readonly connectFailures: number;
}

export function clusterStatuses(clusters: Iterable<UpstreamCluster>): readonly ClusterStatus[] {
  return Array.from(clusters, (cluster) => ({
    name: cluster.name,
    warm: cluster.isWarm,
    endpoints: Array.from(cluster.endpoints, ({ host, endpoint, requests, pool, outlier, health }) => ({
      address: host.address,
      health: endpoint.health,
      ejected: outlier.isEjected,
      ...(cluster.checker !== undefined && { checks: checksOf(health) }),
      ...(health.lastFailure !== "" && { checkFailure: health.lastFailure }),
      weight: endpoint.weight,
      workload: host.workload === undefined ? "" : `${host.workload.namespace}/${host.workload.name}`,
      activeRequests: pool.active,
      totalRequests: requests,
      activeConnections: pool.open,
      totalConnections: pool.opened,
      connectFailures: pool.connectFailures,
    })),
  }));
}

/** Lines of `cluster::address::name::value` with Envoy's names, so that what reads Envoy's page reads this one. */
export function printClusters(statuses: readonly ClusterStatus[]): string {
  const lines: string[] = [];
  for (const { name, warm, endpoints } of statuses) {
    lines.push(`${name}::warm::${warm}`);
    for (const endpoint of endpoints) {
      const facts: readonly (readonly [string, string | number])[] = [
        ["cx_active", endpoint.activeConnections],
        ["cx_connect_fail", endpoint.connectFailures],
        ["cx_total", endpoint.totalConnections],
        ["rq_active", endpoint.activeRequests],
        ["rq_total", endpoint.totalRequests],
        ["health_flags", healthFlags(endpoint)],
        ...(endpoint.checkFailure === undefined
          ? []
          : [["health_check_failure", endpoint.checkFailure] as const]),
        ["weight", endpoint.weight],
        ["workload", endpoint.workload || "-"],
      ];
      for (const [fact, value] of facts) lines.push(`${name}::${endpoint.address}::${fact}::${value}`);
    }
  }
  return lines.join("\n");
}

function checksOf({ isWell, isChecked }: HealthRecord): NonNullable<EndpointStatus["checks"]> {
  if (!isChecked) return "pending";
  return isWell ? "passing" : "failing";
}

/** Envoy's words for why an endpoint gets no traffic, one after the other. */
function healthFlags({ health, ejected, checks }: EndpointStatus): string {
  const flags = [
    ...(checks === "failing" ? ["/failed_active_hc"] : []),
    ...(checks === "pending" ? ["/pending_active_hc"] : []),
    ...(ejected ? ["/failed_outlier_check"] : []),
    ...(health === "healthy" ? [] : [`/eds_status_${health}`]),
  ];
  return flags.join("") || "healthy";
}
