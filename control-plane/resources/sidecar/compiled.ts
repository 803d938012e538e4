import type { Labels } from "../../../common/model/endpoint.ts";
import type { SocketAddress } from "../../../common/model/node.ts";
import type { ServiceProtocol, ServiceReference } from "../../../common/model/service.ts";
import type { Source } from "../../../common/model/source.ts";

/** What the sidecars of some workloads know of the mesh. */
export interface CompiledSidecar {
  readonly kind: "Sidecar";
  /** Absent: the default of its namespace, and in the root namespace that of the mesh. */
  readonly workloadSelector?: Labels;
  /** Absent: everything that is exported to the workload's namespace. Empty: nothing but what `listeners` have. */
  readonly egress?: readonly EgressHost[];
  /** Ports of their own for some hosts; absent when there is none. */
  readonly listeners?: readonly EgressListener[];
  readonly ingress?: readonly IngressListener[];
  /** Absent: the mesh's setting. */
  readonly outboundPolicy?: OutboundPolicy;
  /** Who takes what no service has. */
  readonly egressProxy?: ServiceReference;
  readonly source: Source;
}

/** What happens to requests for hosts that no service and no VirtualService has (Istio's OutboundTrafficPolicy.mode). */
export type OutboundPolicy = "allow-any" | "registry-only";

/** One address that a sidecar listens on. */
interface ListenerPlace {
  readonly port: number;
  readonly protocol: ServiceProtocol;
  /** An IP address. */
  readonly bind?: string;
  readonly capture: "default" | "iptables" | "none";
  readonly source: Source;
}

export interface EgressListener extends ListenerPlace {
  readonly hosts: readonly EgressHost[];
}

export interface IngressListener extends ListenerPlace {
  /** Where the workload takes it; "0.0.0.0" is the workload's own address. */
  readonly endpoint: SocketAddress;
}

/** Istio's `namespace/host` of an egress listener. */
export interface EgressHost {
  /** "*" any, "." the asking proxy's own, "~" none, or a name. */
  readonly namespace: string;
  /** Exact, `*.suffix` or `*`; lower case. */
  readonly host: string;
}
