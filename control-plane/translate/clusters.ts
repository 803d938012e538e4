import type { Cluster, ClusterDiscovery, UpstreamProtocol } from "../../common/model/cluster.ts";
import { clusterName } from "../../common/model/cluster.ts";
import type { Endpoint, EndpointSet } from "../../common/model/endpoint.ts";
import type { HealthProbe } from "../../common/model/health-check.ts";
import type { ServiceProtocol } from "../../common/model/service.ts";
import type { ClientTls } from "../../common/model/tls.ts";
import { hasLabels, isResolved } from "../snapshot/endpoints.ts";
import { tcpFaultOf } from "../snapshot/faults.ts";
import type { CheckPolicy } from "../snapshot/health-checks.ts";
import { healthCheckOf } from "../snapshot/health-checks.ts";
import { keepElements, reuseIn } from "../snapshot/reuse.ts";
import type {
  MeshDestinationRule,
  MeshService,
  MeshSubset,
  ServiceEndpoints,
  TrafficPolicy,
} from "../snapshot/snapshot.ts";
import type { Vantage } from "./locality.ts";
import { isPlaced, localityPolicy, placeEndpoints, weighsLocalities } from "./locality.ts";
import type { MeshTlsTarget } from "./mesh-tls.ts";
import { automaticTls, meshTlsTo } from "./mesh-tls.ts";

/** Istio's defaults: `LEAST_REQUEST`, and connectionPool.tcp.connectTimeout 10 s. */
const defaultLoadBalancer: NonNullable<TrafficPolicy["loadBalancer"]> = { kind: "least-request" };
const defaultConnectTimeoutMs = 10_000;
/** Envoy's: when most endpoints fail a check, it is rather the check that is wrong. */
const defaultMinHealthPercent = 50;

/** Where requests to hosts that nobody in the mesh serves go: to the address that they name (Istio's ALLOW_ANY). */
export const passthroughCluster: Cluster = Object.freeze<Cluster>({
  name: "PassthroughCluster",
  discovery: { kind: "original-dst" },
  loadBalancer: { kind: "passthrough" },
  connectTimeoutMs: defaultConnectTimeoutMs,
});

/** Nowhere: what connects to it is refused, and counted under this name as Istio does. */
export const blackHoleCluster: Cluster = Object.freeze<Cluster>({
  name: "BlackHoleCluster",
  discovery: { kind: "static", endpoints: [] },
  loadBalancer: { kind: "round-robin" },
  connectTimeoutMs: defaultConnectTimeoutMs,
});

/**
 * By these the packet filter's rules know that the sidecar speaks to its own app, which would else be captured again: Istio's address, and
 * for IPv6 the loopback address, because ::6 would first have to be given to the interface.
 */
const appSources = ["127.0.0.6", "::1"];

/** Captured connections whose port no service has, on their way to the app. */
export const inboundPassthroughCluster: Cluster = Object.freeze<Cluster>({
  ...passthroughCluster,
  name: "InboundPassthroughCluster",
  bindAddresses: appSources,
});

/** The app's port that captured connections are meant for, at the address that they are meant for. */
export function capturedCluster(port: number, service: MeshService, protocol: ServiceProtocol): Cluster {
  return {
    ...inboundPassthroughCluster,
    name: clusterName("inbound", port, "", ""),
    ...upstreamProtocol(protocol, undefined),
    service: serviceName(service),
    source: service.source,
  };
}

/** The clusters of one service as one DestinationRule shapes them, and the endpoints of those that have EDS. */
export interface ServiceClusters {
  readonly clusters: readonly Cluster[];
  readonly endpoints: readonly EndpointSet[];
}

/** By service, then by the DestinationRule's namespace and host: most proxies share one. */
const made = new WeakMap<MeshService, Map<string, ServiceClusters>>();

/** A cluster per port, and per port and subset. The same inputs give the same objects, for every proxy and snapshot. */
export function serviceClusters(
  service: MeshService,
  endpoints: ServiceEndpoints,
  rule: MeshDestinationRule | undefined,
  vantage: Vantage,
  trustDomains: readonly string[],
): ServiceClusters {
  const cache = made.get(service) ?? new Map<string, ServiceClusters>();
  made.set(service, cache);
  const { key: at, siblingsText } = isPlaced(service, rule) ? vantage : { key: "", siblingsText: "" };
  const place = at === "" ? "" : ` ${at}`;
  const key = rule === undefined ? place : `${rule.namespace}/${rule.host}${place}`;
  // A rule that comes or goes leaves much as it was, above all the endpoints.
  const before = cache.get(key) ?? [...cache.values()].at(-1);
  return reuseIn(cache, key, [endpoints, rule, siblingsText], () => {
    const all = service.ports.flatMap((port) =>
      [undefined, ...(rule?.subsets ?? [])].map((subset) =>
        makeCluster(
          service,
          port.number,
          subset,
          rule,
          vantage,
          endpoints.byPort.get(port.number) ?? [],
          trustDomains,
        ),
      ),
    );
    return {
      clusters: keepElements(
        before?.clusters,
        all.map(({ cluster }) => cluster),
        ({ name }) => name,
      ),
      endpoints: keepElements(
        before?.endpoints,
        all.flatMap((made) => made.endpoints ?? []),
        ({ cluster }) => cluster,
      ),
    };
  });
}

/** The app behind a sidecar. `service` is whose metrics its requests count for. */
export function inboundCluster(
  app: Endpoint,
  service: MeshService | undefined,
  protocol?: ServiceProtocol,
): Cluster {
  return {
    name: clusterName("inbound", app.port, "", ""),
    discovery: { kind: "static", endpoints: [app] },
    loadBalancer: { kind: "round-robin" },
    connectTimeoutMs: defaultConnectTimeoutMs,
    ...upstreamProtocol(protocol, undefined),
    ...(service && { service: serviceName(service), source: service.source }),
  };
}

/** Ports that speak HTTP/2 are spoken to so, whatever a rule says of upgrades; nothing overrules what is no HTTP. */
function upstreamProtocol(
  port: ServiceProtocol | undefined,
  overruling: UpstreamProtocol | undefined,
): Pick<Cluster, "protocol" | "translatesGrpcWeb"> {
  if (port === "grpc-web") return { protocol: "http2", translatesGrpcWeb: true };
  const isHttp2 = port === "http2" || port === "grpc";
  if (overruling !== undefined && (isHttp2 || port === "http")) return { protocol: overruling };
  return isHttp2 ? { protocol: "http2" } : {};
}

function makeCluster(
  service: MeshService,
  port: number,
  subset: MeshSubset | undefined,
  rule: MeshDestinationRule | undefined,
  vantage: Vantage,
  all: readonly Endpoint[],
  trustDomains: readonly string[],
): { cluster: Cluster; endpoints: EndpointSet | undefined } {
  const name = clusterName("outbound", port, subset?.name ?? "", service.hostname);
  const own =
    subset === undefined
      ? all
      : all.filter(({ workload }) => hasLabels(workload?.labels ?? {}, subset.labels));
  // A DNS service without endpoints has one without labels, its host: subsets of it differ in policy alone, as in Istio.
  const open = isItsOwnEndpoint(service, all) ? all : own;
  const policy = policyFor(rule, subset, port);
  const { hashPolicy: _, locality: __, ...balancer } = policy.loadBalancer ?? defaultLoadBalancer;
  const spoken = upstreamProtocol(
    service.ports.find(({ number }) => number === port)?.protocol,
    policy.connectionPool?.protocol,
  );
  const check = healthCheckFor(healthCheckOf(service, subset?.name, port), service, spoken.protocol);
  const locality = localityPolicy(policy, check !== undefined);
  const known = locality ? placeEndpoints(open, locality, vantage) : open;
  // What stands outside of the mesh is no workload of it, whatever labels chose it: it is told nothing of who calls.
  const endpoints = service.location === "mesh-external" ? known.map(withoutWorkload) : known;
  const {
    connectTimeoutMs = defaultConnectTimeoutMs,
    protocol: _p,
    tcpIdleTimeoutMs: _i,
    ...pool
  } = policy.connectionPool ?? {};
  // Istio's PASSTHROUGH: no balancing at all, each request goes to the address that it names.
  const isPassthrough = balancer.kind === "passthrough";
  const discovery: ClusterDiscovery = isPassthrough
    ? { kind: "original-dst" }
    : discoveryOf(service, endpoints);
  const tcpFault = tcpFaultOf(service, port);
  const cluster: Cluster = {
    name,
    discovery,
    loadBalancer:
      discovery.kind === "original-dst"
        ? { kind: "passthrough" }
        : {
            ...balancer,
            ...(locality && weighsLocalities(locality, vantage, endpoints) && { weighsLocalities: true }),
          },
    connectTimeoutMs,
    ...(Object.keys(pool).length > 0 && { connectionPool: pool }),
    // Whoever names an address gets that one, well or not, as in Envoy.
    ...(discovery.kind !== "original-dst" && healthPolicy(check, policy)),
    ...tlsOf(policy.tls, service, { port, subset: subset?.name ?? "", endpoints, trustDomains }),
    ...spoken,
    ...(policy.retryBudget && { retryBudget: policy.retryBudget }),
    ...(tcpFault && { tcpFault }),
    source: subset?.source ?? rule?.source ?? service.source,
    service: serviceName(service),
    ...(subset && { subset: subset.name }),
  };
  return { cluster, endpoints: discovery.kind === "eds" ? { cluster: name, endpoints } : undefined };
}

/** How it is found out who is well; both ways share one panic threshold. */
function healthPolicy(
  check: CheckPolicy | undefined,
  { outlierDetection }: TrafficPolicy,
): Pick<Cluster, "healthCheck" | "outlierDetection"> {
  if (check === undefined) return outlierDetection ? { outlierDetection } : {};
  const minHealthPercent =
    check.minHealthPercent ?? outlierDetection?.minHealthPercent ?? defaultMinHealthPercent;
  return {
    healthCheck: { ...check, minHealthPercent },
    ...(outlierDetection && { outlierDetection: { ...outlierDetection, minHealthPercent } }),
  };
}

/** In what the cluster speaks. gRPC needs HTTP/2; an Envoy would refuse the whole cluster for asking so without. */
function healthCheckFor(
  check: CheckPolicy | undefined,
  service: MeshService,
  spoken: UpstreamProtocol | undefined,
): CheckPolicy | undefined {
  if (check === undefined) return undefined;
  const isHttp2 = spoken === "http2";
  if (check.probe.kind === "grpc" && !isHttp2) return undefined;
  const probe = withHost(check.probe, service);
  return { ...check, probe: probe.kind === "http" && isHttp2 ? { ...probe, speaksHttp2: true } : probe };
}

/** An Envoy would ask for the cluster's name, which is no host that a sidecar would take. */
function withHost(probe: HealthProbe, { hostname }: MeshService): HealthProbe {
  if (hostname.startsWith("*")) return probe;
  if (probe.kind === "http") return { ...probe, host: probe.host ?? hostname };
  return probe.kind === "grpc" ? { ...probe, authority: probe.authority ?? hostname } : probe;
}

/** What holds for calls to one port of a service, or of one of its subsets. */
export function policyFor(
  rule: MeshDestinationRule | undefined,
  subset: MeshSubset | undefined,
  port: number,
): TrafficPolicy {
  return mergePolicy(mergePolicy({}, rule?.policy, port), subset?.policy, port);
}

/**
 * Field by field the more special policy wins, whole fields, as in Istio; settings for the port then stand alone, so what they leave
 * out has its default.
 */
function mergePolicy(
  general: TrafficPolicy,
  special: TrafficPolicy | undefined,
  port: number,
): TrafficPolicy {
  const { ports, ...own } = special ?? {};
  const merged: TrafficPolicy = { ...general, ...own };
  const forPort = ports?.find((entry) => entry.port === port);
  if (forPort === undefined) return merged;
  const { port: _, ...fields } = forPort;
  const { loadBalancer: _l, connectionPool: _c, outlierDetection: _o, tls: _t, ...unshared } = merged;
  return { ...unshared, ...fields };
}

/** What a rule says; where none says anything, mutual TLS where both ends can. */
function tlsOf(
  asked: TrafficPolicy["tls"],
  service: MeshService,
  to: Pick<MeshTlsTarget, "port" | "subset" | "endpoints" | "trustDomains">,
): Pick<Cluster, "tls" | "mutualTls"> {
  if (asked === "disable") return {};
  const { hostname, namespace } = service;
  if (asked?.identity) return { tls: meshTlsTo(asked, { ...to, hostname, namespace }) };
  if (asked !== undefined) return { tls: withServerName(asked, service) };
  const mutualTls = automaticTls({ ...to, hostname, namespace });
  return mutualTls ? { mutualTls } : {};
}

/** Without an SNI of its own the host is asked for; of a wildcard only the proxy knows which, at each request. */
function withServerName(settings: ClientTls, { hostname, subjectAltNames = [] }: MeshService): ClientTls {
  const tls = settings.subjectAltNames.length > 0 ? settings : { ...settings, subjectAltNames };
  return tls.sni !== undefined || hostname.startsWith("*") ? tls : { sni: hostname, ...tls };
}

function withoutWorkload({ workload: _, ...endpoint }: Endpoint): Endpoint {
  return endpoint;
}

function discoveryOf({ resolution }: MeshService, endpoints: readonly Endpoint[]): ClusterDiscovery {
  if (resolution === "none") return { kind: "original-dst" };
  if (resolution === "dns") return { kind: "dns", endpoints };
  return resolution === "dns-round-robin" ? { kind: "dns", endpoints, isLogical: true } : { kind: "eds" };
}

function isItsOwnEndpoint(service: MeshService, all: readonly Endpoint[]): boolean {
  const [first, ...more] = all;
  if (!isResolved(service) || first === undefined || more.length > 0) return false;
  return first.address === service.hostname && first.workload === undefined;
}

function serviceName({ hostname, name, namespace }: MeshService): NonNullable<Cluster["service"]> {
  return { hostname, name, namespace };
}
