import type { Labels } from "../../../common/model/endpoint.ts";
import type { Source } from "../../../common/model/source.ts";

/** What the sidecars of some workloads know of the mesh. */
export interface CompiledSidecar {
  readonly kind: "Sidecar";
  /** Absent: the default of its namespace, and in the root namespace that of the mesh. */
  readonly workloadSelector?: Labels;
  /** Absent: everything that is exported to the workload's namespace. */
  readonly egress?: readonly EgressHost[];
  /** Absent: the mesh's setting. */
  readonly outboundPolicy?: OutboundPolicy;
  readonly source: Source;
}

/** What happens to requests for hosts that no service and no VirtualService has (Istio's OutboundTrafficPolicy.mode). */
export type OutboundPolicy = "allow-any" | "registry-only";

/** Istio's `namespace/host` of an egress listener. */
export interface EgressHost {
  /** "*" any, "." the asking proxy's own, "~" none, or a name. */
  readonly namespace: string;
  /** Exact, `*.suffix` or `*`; lower case. */
  readonly host: string;
}
