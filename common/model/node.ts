import type { Labels, Locality } from "./endpoint.ts";

/**
 * A proxy as it introduces itself to the control plane (Envoy's core.Node). The id has Istio's form
 * `sidecar~127.0.0.1~reviews-v1.default~default.svc.cluster.local`.
 */
export interface ProxyNode {
  readonly id: string;
  readonly kind: "sidecar" | "gateway";
  /** Workload (or gateway) name. */
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly labels: Labels;
  /** Where it runs, when it was told. */
  readonly locality?: Locality;
  /**
   * It asks for virtual hosts by name at first use (VHDS) and wants nothing else of the mesh's services until then. Absent: it
   * gets everything that it may see.
   */
  readonly onDemand?: boolean;
  /** IP addresses of the machine or pod that it runs in; by them the services are known that its workload is behind (Istio's INSTANCE_IPS). */
  readonly addresses?: readonly string[];
  /** It has an identity of the mesh, so it can do mutual TLS. */
  readonly hasIdentity?: boolean;
  /** Explicit mode: where this proxy was told to listen. The control plane copies these into its listeners. */
  readonly bindings: ProxyBindings;
}

/** Every address is `host:port` split. Absent parts get no listener. */
export interface ProxyBindings {
  readonly outbound?: SocketAddress;
  readonly inbound?: SocketAddress;
  /** Where the workload itself listens. */
  readonly app?: SocketAddress;
  /** Gateways: server port of a Gateway resource → address to open for it. Servers whose port is absent open it on 0.0.0.0. */
  readonly servers: ReadonlyMap<number, SocketAddress>;
  /**
   * Connections of and to the workload are redirected to `outbound` and `inbound`, so listeners for the addresses that they were meant for
   * need no port of their own (Istio's interception mode REDIRECT).
   */
  readonly captures?: true;
  /** Where it answers DNS questions, over UDP and TCP; together with `captures`. */
  readonly dns?: readonly SocketAddress[];
}

export interface SocketAddress {
  readonly host: string;
  readonly port: number;
}

/** The id that Istio's agents would use for this proxy. */
export function proxyNodeId(node: Pick<ProxyNode, "kind" | "name" | "namespace">, address: string): string {
  const type = node.kind === "gateway" ? "router" : "sidecar";
  return `${type}~${address}~${node.name}.${node.namespace}~${node.namespace}.svc.cluster.local`;
}
