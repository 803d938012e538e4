import type { CircuitBreakerPolicy } from "../../common/model/circuit-breaker.ts";
import type { EdgeSettings } from "../../common/model/edge.ts";
import type { Endpoint, Labels } from "../../common/model/endpoint.ts";
import type { RateLimitRule } from "../../common/model/rate-limit.ts";
import type {
  PathNormalization,
  PathNormalizationMode,
  PathParametersMode,
} from "../../common/model/request-entry.ts";
import type { Route } from "../../common/model/route.ts";
import type { Service, ServicePort, ServiceReference } from "../../common/model/service.ts";
import type { Source } from "../../common/model/source.ts";
import type { CompiledSubset, TrafficPolicy } from "../resources/destination-rule/compiled.ts";
import type { CompiledServer } from "../resources/gateway/compiled.ts";
import type { CheckTarget } from "../resources/health-check/compiled.ts";
import type { ExtensionProvider } from "../resources/mesh-config/compiled.ts";
import type { ResourceKey } from "../resources/resource.ts";
import type { CompiledSidecar, OutboundPolicy } from "../resources/sidecar/compiled.ts";
import type {
  CompiledHttpMatch,
  CompiledTcpRule,
  CompiledTlsRule,
} from "../resources/virtual-service/compiled.ts";
import type { RouteFault, ServiceFault } from "./faults.ts";

export type { LocalityPolicy, TrafficPolicy } from "../resources/destination-rule/compiled.ts";
export type { CompiledServer } from "../resources/gateway/compiled.ts";
export type { EgressListener, IngressListener } from "../resources/sidecar/compiled.ts";
export type { CompiledConnectionRule, RuleScope } from "../resources/virtual-service/compiled.ts";

/** What the control plane was told about the whole mesh. */
export interface MeshSettings {
  /** The namespace whose default Sidecar and whose exported DestinationRules hold for all (Istio's rootNamespace). */
  readonly rootNamespace: string;
  /** For workloads whose Sidecar says nothing about it. */
  readonly outboundPolicy: OutboundPolicy;
  /** Istio's meshConfig.pathNormalization; absent: base. */
  readonly pathNormalization?: PathNormalizationMode;
  /** What `;name=value` in paths becomes at sidecars; absent: it stays. Gateways have `edge`. */
  readonly pathParameters?: PathParametersMode;
  /** For gateways; absent: as Envoy advises for edges. */
  readonly edge?: EdgeRules;
  /** Whom policies with CUSTOM may ask, by name. */
  readonly extensionProviders?: ReadonlyMap<string, ExtensionProvider>;
  /** CIDRs of not-public addresses from which keys of tokens may be fetched. */
  readonly jwksNetworks?: readonly string[];
  /** The mesh's own trust domain, then its aliases; absent: cluster.local. */
  readonly trustDomains?: readonly string[];
  /** Gateways stand behind a load balancer that speaks the PROXY protocol (Istio's gatewayTopology.proxyProtocol). */
  readonly gatewaysExpectProxyHeader?: true;
}

/** How gateways treat what strangers send. */
export interface EdgeRules {
  readonly settings: EdgeSettings;
  readonly path: PathNormalization;
}

export const defaultMeshSettings: MeshSettings = Object.freeze({
  rootNamespace: "istio-system",
  outboundPolicy: "allow-any",
});

export interface MeshSidecar extends Omit<CompiledSidecar, "kind"> {
  readonly key: ResourceKey;
}

/** A destination, made of all ServiceEntries of one namespace that name its host. Its endpoints live apart: they change more often. */
export interface MeshService
  extends Pick<Service, "location" | "resolution" | "addresses" | "subjectAltNames" | "exportTo" | "source"> {
  /** `namespace/hostname` */
  readonly key: string;
  readonly hostname: string;
  readonly namespace: string;
  /** For metric labels: the first label of a cluster-local name, else the hostname, as Istio has it. */
  readonly name: string;
  /** In the order written; the older resource's first. */
  readonly ports: readonly ServicePort[];
  readonly createdAt: number;
  /** Oldest first; absent when there is none. */
  readonly breakers?: readonly ServiceBreaker[];
  /** As above. */
  readonly tcpFaults?: readonly ServiceFault[];
  /** As above. */
  readonly healthChecks?: readonly CheckTarget[];
}

/** A circuit breaker for a service's callers; without subset or port it holds for all of them. */
export interface ServiceBreaker {
  readonly subset?: string;
  readonly port?: number;
  readonly policy: CircuitBreakerPolicy<ServiceReference>;
}

export interface ServiceEndpoints {
  /** The service's. */
  readonly key: string;
  /** Service port number → endpoints, in the order written, selected WorkloadEntries after them by name. */
  readonly byPort: ReadonlyMap<number, readonly Endpoint[]>;
}

/** A VirtualService that has hosts, its delegates' rules in their places. */
export interface MeshVirtualService {
  readonly key: ResourceKey;
  readonly createdAt: number;
  readonly hosts: readonly string[];
  readonly gateways: readonly string[];
  readonly exportTo: readonly string[];
  readonly rules: readonly MeshRule[];
  readonly tls?: readonly CompiledTlsRule[];
  readonly tcp?: readonly CompiledTcpRule[];
}

/** An http rule ready to become routes: one per match. */
export interface MeshRule {
  readonly name: string;
  readonly source: Source;
  readonly matches: readonly CompiledHttpMatch[];
  readonly route: Omit<Route<ServiceReference>, "name" | "match" | "source">;
  readonly rateLimits?: readonly RateLimitRule[];
  /** Besides the route's own, oldest first. */
  readonly faults?: readonly RouteFault[];
  /** Comes before those of the destinations. */
  readonly breaker?: CircuitBreakerPolicy<ServiceReference>;
}

/** All DestinationRules of one namespace for one host, merged oldest first. */
export interface MeshDestinationRule {
  readonly namespace: string;
  readonly host: string;
  readonly exportTo: readonly string[];
  readonly policy: TrafficPolicy;
  readonly subsets: readonly MeshSubset[];
  /** Of the oldest. */
  readonly source: Source;
}

export interface MeshSubset extends CompiledSubset {
  readonly source: Source;
}

export interface MeshGateway {
  readonly key: ResourceKey;
  readonly createdAt: number;
  readonly selector: Labels;
  readonly servers: readonly CompiledServer[];
  readonly source: Source;
}
