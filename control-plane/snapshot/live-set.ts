import type { CompiledAuthorizationPolicy } from "../resources/authorization-policy/compiled.ts";
import type { CompiledCircuitBreaker } from "../resources/circuit-breaker/compiled.ts";
import type { CompiledDestinationRule } from "../resources/destination-rule/compiled.ts";
import type { CompiledFault } from "../resources/fault/compiled.ts";
import type { CompiledGateway } from "../resources/gateway/compiled.ts";
import type { CompiledHealthCheck } from "../resources/health-check/compiled.ts";
import type { CompiledPeerAuthentication } from "../resources/peer-authentication/compiled.ts";
import type { CompiledRateLimit } from "../resources/rate-limit/compiled.ts";
import type { CompiledRequestAuthentication } from "../resources/request-authentication/compiled.ts";
import type { Kind, Resource } from "../resources/resource.ts";
import { formatKey } from "../resources/resource.ts";
import type { CompiledServiceEntry } from "../resources/service-entry/compiled.ts";
import type { CompiledSidecar } from "../resources/sidecar/compiled.ts";
import type { CompiledVirtualService } from "../resources/virtual-service/compiled.ts";
import type { CompiledWorkloadEntry } from "../resources/workload-entry/compiled.ts";
import { byAge } from "./order.ts";

/** Resources by kind, each list oldest first. */
export interface LiveSet {
  readonly byKey: ReadonlyMap<string, Resource>;
  readonly gateways: readonly Resource<CompiledGateway>[];
  readonly sidecars: readonly Resource<CompiledSidecar>[];
  readonly virtualServices: readonly Resource<CompiledVirtualService>[];
  readonly destinationRules: readonly Resource<CompiledDestinationRule>[];
  readonly serviceEntries: readonly Resource<CompiledServiceEntry>[];
  readonly workloadEntries: readonly Resource<CompiledWorkloadEntry>[];
  readonly authorizationPolicies: readonly Resource<CompiledAuthorizationPolicy>[];
  readonly requestAuthentications: readonly Resource<CompiledRequestAuthentication>[];
  readonly peerAuthentications: readonly Resource<CompiledPeerAuthentication>[];
  readonly circuitBreakers: readonly Resource<CompiledCircuitBreaker>[];
  readonly rateLimits: readonly Resource<CompiledRateLimit>[];
  readonly faults: readonly Resource<CompiledFault>[];
  readonly healthChecks: readonly Resource<CompiledHealthCheck>[];
}

export function liveSet(byKey: ReadonlyMap<string, Resource>): LiveSet {
  const sorted = [...byKey.values()].sort(byAge);
  return {
    byKey,
    gateways: ofKind<CompiledGateway>(sorted, "Gateway"),
    sidecars: ofKind<CompiledSidecar>(sorted, "Sidecar"),
    virtualServices: ofKind<CompiledVirtualService>(sorted, "VirtualService"),
    destinationRules: ofKind<CompiledDestinationRule>(sorted, "DestinationRule"),
    serviceEntries: ofKind<CompiledServiceEntry>(sorted, "ServiceEntry"),
    workloadEntries: ofKind<CompiledWorkloadEntry>(sorted, "WorkloadEntry"),
    authorizationPolicies: ofKind<CompiledAuthorizationPolicy>(sorted, "AuthorizationPolicy"),
    requestAuthentications: ofKind<CompiledRequestAuthentication>(sorted, "RequestAuthentication"),
    peerAuthentications: ofKind<CompiledPeerAuthentication>(sorted, "PeerAuthentication"),
    circuitBreakers: ofKind<CompiledCircuitBreaker>(sorted, "CircuitBreaker"),
    rateLimits: ofKind<CompiledRateLimit>(sorted, "RateLimit"),
    faults: ofKind<CompiledFault>(sorted, "Fault"),
    healthChecks: ofKind<CompiledHealthCheck>(sorted, "HealthCheck"),
  };
}

export function mapByKey(resources: Iterable<Resource>): Map<string, Resource> {
  return new Map([...resources].map((resource) => [formatKey(resource), resource]));
}

function ofKind<C>(resources: readonly Resource[], kind: Kind): Resource<C>[] {
  // The compiled form always has its resource's kind: decode makes both at once.
  return resources.filter((resource) => resource.kind === kind) as Resource<C>[];
}
