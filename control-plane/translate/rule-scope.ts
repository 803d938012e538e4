import type { ProxyNode } from "../../common/model/node.ts";
import type { RateLimitRule } from "../../common/model/rate-limit.ts";
import type { RuleScope } from "../snapshot/snapshot.ts";

/** Where a proxy's routes stand: what a rule's scope is compared with. */
export interface Place {
  readonly node: Pick<ProxyNode, "kind" | "namespace" | "labels">;
  /** "mesh" for sidecars, else the `namespace/name` of the Gateway whose server this is. */
  readonly gateway: string;
  /** The service's or server's port; undefined for a host that is reached on every port. */
  readonly port: number | undefined;
  /** For every route here, besides its rule's own. */
  readonly rateLimits?: readonly RateLimitRule[];
}

/**
 * Why a match does not hold at a place, undefined when it does. As in Istio, sourceLabels and sourceNamespace speak of
 * sidecars only: behind a gateway nobody knows the labels of who called.
 */
export function scopeFailure(scope: RuleScope, { node, gateway, port }: Place): string | undefined {
  if (scope.gateways !== undefined && !scope.gateways.includes(gateway)) {
    const here = gateway === "mesh" ? "sidecars (mesh)" : `gateway ${gateway}`;
    return `it is for ${scope.gateways.join(", ")}, not for ${here}`;
  }
  if (scope.port !== undefined && scope.port !== port) {
    return `it is for port ${scope.port}, not for ${port === undefined ? "any port" : port}`;
  }
  if (node.kind === "gateway") return undefined;
  for (const [key, value] of Object.entries(scope.sourceLabels ?? {})) {
    const own = Object.hasOwn(node.labels, key) ? node.labels[key] : undefined;
    if (own === value) continue;
    return `it is for callers with the label ${key}=${value}, and this one ${own === undefined ? "has none" : `has ${key}=${own}`}`;
  }
  if (scope.sourceNamespace !== undefined && scope.sourceNamespace !== node.namespace) {
    return `it is for callers in namespace ${scope.sourceNamespace}, not in ${node.namespace}`;
  }
  return undefined;
}
