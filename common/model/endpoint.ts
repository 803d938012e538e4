/** One address that serves a cluster, with what metrics and balancing want to know of the workload behind it. */
export interface Endpoint {
  /** IP address, or a host name in `dns` clusters. */
  readonly address: string;
  readonly port: number;
  /** ≥ 1 */
  readonly weight: number;
  readonly health: "healthy" | "unhealthy" | "draining";
  readonly workload?: Workload;
  /** "istio": a proxy stands before it that ends mutual TLS (Istio's label security.istio.io/tlsMode). Absent: who knows. */
  readonly tlsMode?: "istio";
  readonly locality?: Locality;
  /** 0, or absent, comes first; the next priority takes what those before can't (Envoy's LocalityLbEndpoints.priority). */
  readonly priority?: number;
  /** The weight of its whole locality, for clusters that weigh localities; 0: the locality gets nothing. */
  readonly localityWeight?: number;
}

/** Envoy's Locality; empty strings where unknown. */
export interface Locality {
  readonly region: string;
  readonly zone: string;
  readonly subzone: string;
}

/** The workload behind an endpoint or a proxy, as Istio's metric labels name it. */
export interface Workload {
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly labels: Labels;
}

/** Kubernetes labels; made without a prototype or through Object.fromEntries, so `__proto__` is just a key. */
export type Labels = Readonly<Record<string, string>>;

/** All endpoints of one cluster (Envoy's ClusterLoadAssignment). */
export interface EndpointSet {
  readonly cluster: string;
  readonly endpoints: readonly Endpoint[];
}
