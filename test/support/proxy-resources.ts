import type { Cluster } from "../../common/model/cluster.ts";
import type { Endpoint, EndpointSet } from "../../common/model/endpoint.ts";
import type { Listener } from "../../common/model/listener.ts";
import type {
  Route,
  RouteConfiguration,
  VirtualHost,
  WeightedDestination,
} from "../../common/model/route.ts";
import { noHeaderOperations } from "../../common/model/route.ts";
import { encodeCluster } from "../../common/xds/cluster.ts";
import { encodeEndpoints } from "../../common/xds/endpoint.ts";
import { encodeListener } from "../../common/xds/listener.ts";
import { encodeRouteConfiguration, encodeVirtualHost } from "../../common/xds/route.ts";
import type { ProxyOptions, ProxySettings } from "../../proxy/config.ts";
import { readProxySettings } from "../../proxy/config.ts";
import type {
  ReceivedResource,
  Rejection,
  ResourceSink,
  ResourceUpdate,
} from "../../proxy/xds/resource-update.ts";

/** Resources as a control plane would send them, so a proxy can be driven without one. */

/** Settings for a proxy in a test; problems are thrown. */
export function proxySettings(
  options: Partial<ProxyOptions> = {},
  change: Partial<ProxySettings> = {},
): ProxySettings {
  const settings = readProxySettings({ kind: "sidecar", name: "test", logLevel: "error", ...options }, {});
  if (!settings.ok) throw new Error(JSON.stringify(settings.problems));
  return { ...settings.value, ...change };
}

/** Hands resources over type by type in the order that makes before it breaks; answers with all rejections. */
export async function feed(sink: ResourceSink, resources: Resources): Promise<readonly Rejection[]> {
  const rejections: Rejection[] = [];
  for (const update of toUpdates(resources)) rejections.push(...(await sink.apply(update)));
  return rejections;
}

export interface Resources {
  readonly clusters?: readonly Cluster[];
  readonly endpoints?: readonly EndpointSet[];
  readonly routes?: readonly RouteConfiguration[];
  /** By route configuration. */
  readonly hosts?: Readonly<Record<string, readonly VirtualHost[]>>;
  readonly listeners?: readonly Listener[];
  /** xDS names. */
  readonly removedListeners?: readonly string[];
  readonly removedHosts?: readonly string[];
  readonly removedClusters?: readonly string[];
}

let version = 0;

function toUpdates(resources: Resources): readonly ResourceUpdate[] {
  const { clusters = [], endpoints = [], routes = [], hosts = {}, listeners = [] } = resources;
  const { removedListeners = [], removedHosts = [], removedClusters = [] } = resources;
  const virtualHosts = Object.entries(hosts).flatMap(([configuration, all]) =>
    all.map((host) => [`${configuration}/${host.name}`, received(host, encodeVirtualHost(host))] as const),
  );
  const updates: readonly ResourceUpdate[] = [
    {
      type: "cluster",
      updated: named(clusters, ({ name }) => name, encodeCluster),
      removed: removedClusters,
    },
    { type: "endpoints", updated: named(endpoints, ({ cluster }) => cluster, encodeEndpoints), removed: [] },
    {
      type: "route-configuration",
      updated: named(routes, ({ name }) => name, encodeRouteConfiguration),
      removed: [],
    },
    { type: "virtual-host", updated: new Map(virtualHosts), removed: removedHosts },
    {
      type: "listener",
      updated: named(listeners, ({ name }) => name, encodeListener),
      removed: removedListeners,
    },
  ];
  return updates.filter(({ updated, removed }) => updated.size + removed.length > 0);
}

function named<T>(
  all: readonly T[],
  nameOf: (value: T) => string,
  encode: (value: T) => Uint8Array,
): Map<string, ReceivedResource<T>> {
  return new Map(all.map((value) => [nameOf(value), received(value, encode(value))]));
}

function received<T>(value: T, bytes: Uint8Array): ReceivedResource<T> {
  return { value, version: String(++version), bytes };
}

export function cluster(name: string, change: Partial<Cluster> = {}): Cluster {
  return {
    name,
    discovery: { kind: "eds" },
    loadBalancer: { kind: "round-robin" },
    connectTimeoutMs: 1_000,
    ...change,
  };
}

/** A cluster of fixed ports on the loopback address. */
export function staticCluster(name: string, ...ports: readonly number[]): Cluster {
  return cluster(name, { discovery: { kind: "static", endpoints: ports.map((port) => endpoint(port)) } });
}

export function endpoint(port: number, change: Partial<Endpoint> = {}): Endpoint {
  return { address: "127.0.0.1", port, weight: 1, health: "healthy", ...change };
}

export function endpoints(cluster: string, ...ports: readonly number[]): EndpointSet {
  return { cluster, endpoints: ports.map((port) => endpoint(port)) };
}

/** A listener on a free loopback port with routes by name. */
export function listener(name: string, routeConfigName: string, change: Partial<Listener> = {}): Listener {
  const http = { statPrefix: name, routes: { kind: "rds", routeConfigName } } as const;
  return {
    name,
    address: "127.0.0.1",
    port: 0,
    direction: "outbound",
    filterChains: [{ name: "http", http }],
    ...change,
  };
}

/** What a sidecar opens for its workload: everything goes to one cluster. */
export function inboundListener(name: string, toCluster: string): Listener {
  const configuration = {
    name: "inbound",
    vhds: false,
    virtualHosts: [virtualHost("inbound", ["*"], [route([[toCluster, 100]])])],
  };
  const http = { statPrefix: name, routes: { kind: "inline", configuration } } as const;
  return listener(name, "", { direction: "inbound", filterChains: [{ name: "http", http }] });
}

export function routes(name: string): RouteConfiguration {
  return { name, vhds: true, virtualHosts: [] };
}

export function virtualHost(name: string, domains: readonly string[], all: readonly Route[]): VirtualHost {
  return { name, domains, routes: all };
}

/** A route for every path (or those with a prefix) to clusters by weight. */
export function route(
  to: readonly (readonly [cluster: string, weight: number])[],
  change: Partial<Route> & { readonly prefix?: string } = {},
): Route {
  const { prefix, ...rest } = change;
  const destinations: WeightedDestination[] = to.map(([destination, weight]) => ({
    destination,
    weight,
    requestHeaders: noHeaderOperations,
    responseHeaders: noHeaderOperations,
  }));
  const path =
    prefix === undefined
      ? ({ kind: "any" } as const)
      : ({ kind: "prefix", value: prefix, ignoreCase: false } as const);
  return {
    name: "default",
    match: { path, headers: [], queryParams: [] },
    action: { kind: "forward", destinations, mirrors: [] },
    requestHeaders: noHeaderOperations,
    responseHeaders: noHeaderOperations,
    ...rest,
  };
}
