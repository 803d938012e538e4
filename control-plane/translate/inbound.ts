import type { Cluster } from "../../common/model/cluster.ts";
import { clusterName } from "../../common/model/cluster.ts";
import type { Endpoint, Labels } from "../../common/model/endpoint.ts";
import type { HttpFilterChain, Listener } from "../../common/model/listener.ts";
import type { ProxyNode } from "../../common/model/node.ts";
import type { RateLimitRule } from "../../common/model/rate-limit.ts";
import type { Route } from "../../common/model/route.ts";
import { noHeaderOperations } from "../../common/model/route.ts";
import type { ServiceProtocol } from "../../common/model/service.ts";
import { hasLabels } from "../snapshot/endpoints.ts";
import { inboundLimits } from "../snapshot/rate-limits.ts";
import { reuse } from "../snapshot/reuse.ts";
import { sidecarFor } from "../snapshot/sidecars.ts";
import type { IngressListener, MeshService, Snapshot } from "../snapshot/snapshot.ts";
import { inboundCluster } from "./clusters.ts";
import { forwardTo, isHttp } from "./routes.ts";

export interface Inbound {
  readonly listener: Listener;
  readonly cluster: Cluster;
}

/** A node introduces itself once per stream, so what only it depends on lives as long as that. */
const made = new WeakMap<ProxyNode, Inbound>();

/** The way into the app: one listener, one route, one cluster. Undefined when the proxy was told no inbound address or app. */
export function translateInbound(snapshot: Snapshot, node: ProxyNode): Inbound | undefined {
  const { inbound, app, captures } = node.bindings;
  if (inbound === undefined || app === undefined || captures) return undefined;
  const service = serviceBehind(snapshot, node);
  const endpoint: Endpoint = {
    address: app.host,
    port: app.port,
    weight: 1,
    health: "healthy",
    workload: {
      name: node.name,
      namespace: node.namespace,
      serviceAccount: node.serviceAccount,
      labels: node.labels,
    },
  };
  const limits = inboundLimits(snapshot.rateLimits, node, service?.hostname);
  const protocol = service && protocolAt(snapshot, service, `${inbound.host}:${inbound.port}`);
  const translated = reuse(made.get(node), [service, protocol, ...limits], () => {
    const cluster = inboundCluster(endpoint, service, protocol);
    return { cluster, listener: inboundListener(inbound.host, inbound.port, cluster, limits) };
  });
  made.set(node, translated);
  return translated;
}

/** What the app speaks, as the service says of the port that leads to its address; of a service with one port in any case. */
function protocolAt(snapshot: Snapshot, service: MeshService, address: string): ServiceProtocol | undefined {
  const { ports, key } = service;
  if (ports.length === 1) return ports[0]!.protocol;
  const byPort = snapshot.endpoints.get(key)?.byPort;
  return ports.find(({ number }) =>
    byPort?.get(number)?.some((endpoint) => `${endpoint.address}:${endpoint.port}` === address),
  )?.protocol;
}

const madeIngress = new WeakMap<IngressListener, WeakMap<ProxyNode, Inbound>>();

/** The ports that the workload's Sidecar opens for what comes in (Istio's ingress). */
export function ingressListeners(snapshot: Snapshot, node: ProxyNode): readonly Inbound[] {
  const sidecar = sidecarFor(snapshot, node);
  return (sidecar?.ingress ?? []).map((asked) => {
    const known = madeIngress.get(asked) ?? new WeakMap<ProxyNode, Inbound>();
    madeIngress.set(asked, known);
    const service = serviceBehind(snapshot, node);
    const limits = inboundLimits(snapshot.rateLimits, node, service?.hostname);
    const translated = reuse(known.get(node), [service, ...limits], () =>
      ingressListener(node, asked, service, limits),
    );
    known.set(node, translated);
    return translated;
  });
}

function ingressListener(
  node: ProxyNode,
  asked: IngressListener,
  service: MeshService | undefined,
  limits: readonly RateLimitRule[],
): Inbound {
  const { name, namespace, serviceAccount, labels, bindings } = node;
  const captures =
    asked.capture === "iptables" || (asked.capture === "default" && bindings.captures === true);
  const address = asked.bind ?? (captures ? "0.0.0.0" : (bindings.inbound?.host ?? "0.0.0.0"));
  const isAny = asked.endpoint.host === "0.0.0.0" || asked.endpoint.host === "::";
  const own = bindings.app?.host ?? (bindings.captures ? undefined : bindings.inbound?.host) ?? "127.0.0.1";
  const host = isAny ? own : asked.endpoint.host;
  const endpoint: Endpoint = {
    address: host,
    port: asked.endpoint.port,
    weight: 1,
    health: "healthy",
    workload: { name, namespace, serviceAccount, labels },
  };
  // Named by the port that is asked for: two listeners may lead to one port of the workload.
  const cluster = { ...inboundCluster(endpoint, service), name: clusterName("inbound", asked.port, "", "") };
  const listenerName = `inbound_${address}_${asked.port}`;
  const http = inboundListener(address, asked.port, cluster, limits);
  const tcp = { statPrefix: cluster.name, destinations: [{ cluster: cluster.name, weight: 1 }] };
  const listener: Listener = {
    ...http,
    name: listenerName,
    ...(captures ? { bindsPort: false as const } : {}),
    ...(isHttp(asked) ? {} : { filterChains: [{ name: cluster.name, source: asked.source, tcp }] }),
    source: asked.source,
  };
  return { cluster, listener };
}

function inboundListener(
  address: string,
  port: number,
  cluster: Cluster,
  rateLimits: readonly RateLimitRule[],
): Listener {
  const filterChains = [inboundChain(cluster, rateLimits)];
  return { name: "virtualInbound", address, port, direction: "inbound", filterChains };
}

/** Requests for the app, all by one route. */
export function inboundChain(cluster: Cluster, rateLimits: readonly RateLimitRule[]): HttpFilterChain {
  const route: Route = {
    name: "default",
    ...(cluster.source && { source: cluster.source }),
    match: { path: { kind: "any" }, headers: [], queryParams: [] },
    action: {
      ...forwardTo(cluster.name),
      // Istio's inbound default: hides that an app closed an idle connection just when we used it.
      retry: {
        attempts: 2,
        on: ["reset-before-request"],
        statusCodes: [],
        baseIntervalMs: 25,
        maxIntervalMs: 250,
      },
    },
    requestHeaders: noHeaderOperations,
    responseHeaders: noHeaderOperations,
    ...(rateLimits.length > 0 && { rateLimits }),
  };
  const configuration = {
    name: cluster.name,
    vhds: false,
    virtualHosts: [{ name: cluster.name.replace("||", "|http"), domains: ["*"], routes: [route] }],
  };
  return {
    name: cluster.name,
    http: { statPrefix: cluster.name, routes: { kind: "inline", configuration } },
  };
}

/** Who stands behind an address, a workload or a set of labels, in one namespace; the first by hostname. */
interface Owners {
  readonly byAddress: Map<string, MeshService>;
  readonly byWorkload: Map<string, MeshService>;
  readonly byLabels: Map<string, { readonly labels: Labels; readonly service: MeshService }>;
}

interface KnownOwners {
  readonly services: ReadonlyMap<string, MeshService>;
  readonly byNamespace: ReadonlyMap<string, Owners>;
}

/** By a snapshot's endpoints, which stay the same object while none of them changes. */
const ownersOf = new WeakMap<Snapshot["endpoints"], KnownOwners>();

/**
 * The service that a sidecar's app belongs to: the one that has an endpoint at its inbound address, else one whose
 * endpoint's workload is it by name, else one whose endpoint's labels it has. Of several the first by hostname.
 */
function serviceBehind(snapshot: Snapshot, node: ProxyNode): MeshService | undefined {
  const services = snapshot.services.byKey;
  let known = ownersOf.get(snapshot.endpoints);
  if (known?.services !== services) {
    known = { services, byNamespace: findOwners(snapshot) };
    ownersOf.set(snapshot.endpoints, known);
  }
  const owners = known.byNamespace.get(node.namespace);
  const { inbound } = node.bindings;
  return (
    owners?.byAddress.get(`${inbound?.host}:${inbound?.port}`) ??
    owners?.byWorkload.get(node.name) ??
    [...(owners?.byLabels.values() ?? [])].find(({ labels }) => hasLabels(node.labels, labels))?.service
  );
}

function findOwners(snapshot: Snapshot): ReadonlyMap<string, Owners> {
  const namespaces = new Map<string, Owners>();
  for (const service of snapshot.services.byKey.values()) {
    const owners = namespaces.get(service.namespace) ?? {
      byAddress: new Map(),
      byWorkload: new Map(),
      byLabels: new Map(),
    };
    namespaces.set(service.namespace, owners);
    for (const { address, port, workload } of [
      ...snapshot.endpoints.get(service.key)!.byPort.values(),
    ].flat()) {
      addFirst(owners.byAddress, `${address}:${port}`, service);
      if (workload === undefined) continue;
      if (workload.name !== "") addFirst(owners.byWorkload, workload.name, service);
      const pairs = Object.entries(workload.labels).sort();
      if (pairs.length > 0)
        addFirst(owners.byLabels, JSON.stringify(pairs), { labels: workload.labels, service });
    }
  }
  return namespaces;
}

function addFirst<V>(map: Map<string, V>, key: string, value: V): void {
  if (!map.has(key)) map.set(key, value);
}
