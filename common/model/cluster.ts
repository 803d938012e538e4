import type { ConnectionPool, RetryBudget } from "./connection-pool.ts";
import type { Endpoint } from "./endpoint.ts";
import type { HealthCheck } from "./health-check.ts";
import type { OutlierDetection } from "./outlier-detection.ts";
import type { Source } from "./source.ts";
import type { TcpFault } from "./tcp-fault.ts";
import type { ClientTls } from "./tls.ts";

/** A named group of interchangeable endpoints and the policy for calling them (Envoy's Cluster). */
export interface Cluster {
  /** `outbound|9080|v1|reviews.default.svc.cluster.local`, `inbound|9080||`, `PassthroughCluster`. */
  readonly name: string;
  readonly discovery: ClusterDiscovery;
  readonly loadBalancer: LoadBalancer;
  /** ms; Istio's default 10 s. */
  readonly connectTimeoutMs: number;
  readonly connectionPool?: ConnectionPool;
  readonly outlierDetection?: OutlierDetection;
  /** Where both say it, its `minHealthPercent` is that of `outlierDetection`. */
  readonly healthCheck?: HealthCheck;
  readonly retryBudget?: RetryBudget;
  /** For connections whose bytes are passed on; requests have their route's. */
  readonly tcpFault?: TcpFault;
  /** Absent: plain text. */
  readonly tls?: ClientTls;
  /** Automatic mutual TLS: for endpoints whose `tlsMode` says that they can; the others are spoken to in plain text. Not beside `tls`. */
  readonly mutualTls?: ClientTls;
  /** Absent: "http1". */
  readonly protocol?: UpstreamProtocol;
  /** What browsers send as gRPC-Web goes on as gRPC. */
  readonly translatesGrpcWeb?: true;
  /**
   * Own addresses that connections come from, at most one per address family; the one of the endpoint's family counts (Envoy's
   * upstream_bind_config). Absent: the system chooses.
   */
  readonly bindAddresses?: readonly string[];
  /** The DestinationRule that shaped it, else the resource that made the service. */
  readonly source?: Source;
  /** The service behind it, for metric labels. Absent on inbound and passthrough clusters. */
  readonly service?: ServiceName;
  readonly subset?: string;
}

/**
 * What requests to the endpoints are spoken in. `http2`: with prior knowledge in plain text, by ALPN over TLS, where a server that agrees
 * on HTTP/1.1 gets that. `client`: what each request's client spoke (Envoy's use_downstream_protocol_config).
 */
export type UpstreamProtocol = "http1" | "http2" | "client";

/**
 * `eds`: endpoints arrive by EDS under the cluster's own name. `static`: `endpoints` are addresses.
 * `dns`: `endpoints` are host names, each resolved to all its addresses (Envoy's STRICT_DNS);
 * with `isLogical` each is one endpoint, whose new connections go to the first address of the newest answer (LOGICAL_DNS).
 * `original-dst`: the address that the downstream connection, or in explicit mode the request's authority, named.
 */
export type ClusterDiscovery =
  | { readonly kind: "eds" }
  | { readonly kind: "static"; readonly endpoints: readonly Endpoint[] }
  | { readonly kind: "dns"; readonly endpoints: readonly Endpoint[]; readonly isLogical?: true }
  | { readonly kind: "original-dst" };

export interface LoadBalancer {
  readonly kind:
    | "round-robin"
    | "least-request"
    | "random"
    | "peak-ewma"
    | "ring-hash"
    | "maglev"
    | "passthrough";
  /** ring-hash: places on the ring, at least; default 1024. */
  readonly minimumRingSize?: number;
  /** maglev: places in the table, a prime up to 5,000,011; default 65,537. */
  readonly tableSize?: number;
  /** How endpoints that begin to take traffic get their share; absent: at once. Hashing balancers and `random` ignore it. */
  readonly warmup?: Warmup;
  /** Requests divide over localities by `Endpoint.localityWeight` before they divide over endpoints. */
  readonly weighsLocalities?: boolean;
}

/** Envoy's slow start. */
export interface Warmup {
  readonly durationMs: number;
  /** 0..100: the share of its weight that an endpoint gets at least; Istio's default 10. */
  readonly minimumPercent: number;
  /** ≥ 1: more than 1 gives more traffic early; default 1, a straight line. */
  readonly aggression: number;
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
