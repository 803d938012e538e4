import type { Workload } from "../../common/model/endpoint.ts";

/** Istio writes this wherever it does not know. */
export const unknown = "unknown";

/** The label names of Istio's standard metrics, in the order Istio documents them. */
export const standardLabelNames = [
  "reporter",
  "source_workload",
  "source_canonical_service",
  "source_canonical_revision",
  "source_workload_namespace",
  "source_principal",
  "source_app",
  "source_version",
  "source_cluster",
  "destination_workload",
  "destination_workload_namespace",
  "destination_principal",
  "destination_app",
  "destination_version",
  "destination_service",
  "destination_canonical_service",
  "destination_canonical_revision",
  "destination_service_name",
  "destination_service_namespace",
  "destination_cluster",
  "request_protocol",
  "response_code",
  "grpc_response_status",
  "response_flags",
  "connection_security_policy",
] as const;

export type StandardLabels = Readonly<Record<(typeof standardLabelNames)[number], string>>;

/** What Istio's labels say of one side; the caller prefixes each with `source_` or `destination_`. */
export interface SideLabels {
  readonly workload: string;
  readonly workload_namespace: string;
  readonly canonical_service: string;
  readonly canonical_revision: string;
  readonly app: string;
  readonly version: string;
  readonly principal: string;
  readonly cluster: string;
}

/** `meshCluster` is the name of the Kubernetes cluster (Istio's CLUSTER_ID). Labels fall back as Istio's do. */
export function sideLabels(workload: Workload | undefined, meshCluster: string): SideLabels {
  if (workload === undefined) {
    return {
      workload: unknown,
      workload_namespace: unknown,
      canonical_service: unknown,
      canonical_revision: "latest",
      app: unknown,
      version: unknown,
      principal: unknown,
      cluster: unknown,
    };
  }
  const labels = workload.labels;
  return {
    workload: workload.name || unknown,
    workload_namespace: workload.namespace || unknown,
    canonical_service:
      labels["service.istio.io/canonical-name"] ??
      labels["app.kubernetes.io/name"] ??
      labels.app ??
      (workload.name || unknown),
    canonical_revision:
      labels["service.istio.io/canonical-revision"] ??
      labels["app.kubernetes.io/version"] ??
      labels.version ??
      "latest",
    app: labels.app ?? unknown,
    version: labels.version ?? unknown,
    principal: unknown,
    cluster: meshCluster,
  };
}

/** Clusters that stand for no service have a name of their own in Istio's metrics. */
export function wellKnownCluster(cluster: string): string {
  return cluster === "PassthroughCluster" || cluster === "BlackHoleCluster" ? cluster : unknown;
}

export type PrefixedLabels<P extends string> = { readonly [K in keyof SideLabels as `${P}_${K}`]: string };

/** `source_workload` … or `destination_workload` …, in a fixed order. */
export function prefixed<P extends "source" | "destination">(prefix: P, side: SideLabels): PrefixedLabels<P> {
  return Object.fromEntries(
    Object.entries(side).map(([name, value]) => [`${prefix}_${name}`, value]),
  ) as PrefixedLabels<P>;
}
