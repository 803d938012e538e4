import type { Labels } from "../../common/model/endpoint.ts";
import type { Source } from "../../common/model/source.ts";

/** The kinds that the control plane understands, in the order in which they are listed to users. */
export const kinds = [
  "Gateway",
  "Sidecar",
  "VirtualService",
  "DestinationRule",
  "ServiceEntry",
  "WorkloadEntry",
  "PeerAuthentication",
  "AuthorizationPolicy",
  "RequestAuthentication",
  "CircuitBreaker",
  "RateLimit",
  "Fault",
  "HealthCheck",
] as const;

export type Kind = (typeof kinds)[number];

/** Names one object: kind, namespace and name are unique together in a store. */
export interface ResourceKey {
  readonly kind: Kind;
  readonly namespace: string;
  readonly name: string;
}

/** A decoded, valid object: its metadata, its spec as the schema returns it, and the model it compiled to. */
export interface Resource<C = CompiledResource> extends ResourceKey {
  /** As written, such as `networking.istio.io/v1beta1`. */
  readonly apiVersion: string;
  readonly labels: Labels;
  readonly annotations: Labels;
  /** Content hash of the object without its position: equal content, equal version. */
  readonly version: string;
  /** ms since the epoch when it was first seen; orders resources that compete (older wins), then by name. */
  readonly createdAt: number;
  readonly source: Source;
  /** The object as written (plain JSON), for `weft get` and the HTTP API. */
  readonly object: Readonly<Record<string, unknown>>;
  readonly compiled: C;
}

/** `VirtualService/default/reviews` */
export function formatKey(key: ResourceKey): string {
  return `${key.kind}/${key.namespace}/${key.name}`;
}

/** Discriminated by `kind`; each member is declared in its kind's folder. */
export type CompiledResource =
  | import("./request-authentication/compiled.ts").CompiledRequestAuthentication
  | import("./authorization-policy/compiled.ts").CompiledAuthorizationPolicy
  | import("./peer-authentication/compiled.ts").CompiledPeerAuthentication
  | import("./circuit-breaker/compiled.ts").CompiledCircuitBreaker
  | import("./rate-limit/compiled.ts").CompiledRateLimit
  | import("./fault/compiled.ts").CompiledFault
  | import("./health-check/compiled.ts").CompiledHealthCheck
  | import("./virtual-service/compiled.ts").CompiledVirtualService
  | import("./destination-rule/compiled.ts").CompiledDestinationRule
  | import("./service-entry/compiled.ts").CompiledServiceEntry
  | import("./workload-entry/compiled.ts").CompiledWorkloadEntry
  | import("./gateway/compiled.ts").CompiledGateway
  | import("./sidecar/compiled.ts").CompiledSidecar;
