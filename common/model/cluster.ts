import type { Endpoint } from "./endpoint.ts";
import type { Source } from "./source.ts";

/** A named group of interchangeable endpoints and the policy for calling them (Envoy's Cluster). */
export interface Cluster {
  /** `outbound|9080|v1|reviews.default.svc.cluster.local`, `inbound|9080||`, `PassthroughCluster`. */
  readonly name: string;
  readonly discovery: ClusterDiscovery;
  readonly loadBalancer: LoadBalancer;
  /** ms; Istio's default 10 s. */
  readonly connectTimeoutMs: number;
  /** The DestinationRule that shaped it, else the resource that made the service. */
  readonly source?: Source;
  /** The service behind it, for metric labels. Absent on inbound and passthrough clusters. */
  readonly service?: ServiceName;
  readonly subset?: string;
}

/**
 * `eds`: endpoints arrive by EDS under the cluster's own name. `static`: `endpoints` are addresses.
 * `dns`: `endpoints` are host names, each resolved to all its addresses (Envoy's STRICT_DNS).
 * `original-dst`: the address that the downstream connection, or in explicit mode the request's authority, named.
 */
export type ClusterDiscovery =
  | { readonly kind: "eds" }
  | { readonly kind: "static"; readonly endpoints: readonly Endpoint[] }
  | { readonly kind: "dns"; readonly endpoints: readonly Endpoint[] }
  | { readonly kind: "original-dst" };

export interface LoadBalancer {
  readonly kind: "round-robin" | "least-request" | "random" | "passthrough";
}

export interface ServiceName {
  /** Fully qualified: `reviews.default.svc.cluster.local`. */
  readonly hostname: string;
  readonly name: string;
  readonly namespace: string;
}

/** `outbound|PORT|SUBSET|HOST`, Istio's name for a cluster; subset is empty for the whole service. */
export function clusterName(
  direction: "outbound" | "inbound",
  port: number,
  subset: string,
  hostname: string,
): string {
  return `${direction}|${port}|${subset}|${hostname}`;
}
