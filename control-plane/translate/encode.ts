import type { Listener } from "../../common/model/listener.ts";
import type { VirtualHost } from "../../common/model/route.ts";
import { encodeCluster } from "../../common/xds/cluster.ts";
import type { EncodedResource, ResourceSet } from "../../common/xds/encoded-resource.ts";
import { encodedResource } from "../../common/xds/encoded-resource.ts";
import { encodeEndpoints } from "../../common/xds/endpoint.ts";
import { encodeListener } from "../../common/xds/listener.ts";
import { encodeRouteConfiguration, encodeVirtualHost } from "../../common/xds/route.ts";
import { typeUrl } from "../../common/xds/type-url.ts";
import type { ProxyResources } from "./proxy-resources.ts";
import { clustersOf } from "./routes.ts";

type Encoded = ReadonlyMap<string, EncodedResource>;

/** Maps and their elements live as long as something uses them; each is encoded once for all proxies that share it. */
const maps = new WeakMap<ReadonlyMap<string, object>, Encoded>();
const elements = new WeakMap<object, EncodedResource>();

/** The resources as they go over the wire. What is the same object in two proxies' resources is the same bytes in memory. */
export function encodeResources(resources: ProxyResources): ResourceSet {
  return new Map<(typeof typeUrl)[keyof typeof typeUrl], Encoded>([
    [typeUrl.cluster, encodeAll(resources.clusters, encodeCluster)],
    [typeUrl.endpoints, encodeAll(resources.endpoints, encodeEndpoints)],
    [typeUrl.listener, encodeAll(resources.listeners, encodeListener, listenerNames)],
    [typeUrl["route-configuration"], encodeAll(resources.routeConfigurations, encodeRouteConfiguration)],
    [typeUrl["virtual-host"], encodeAll(resources.virtualHosts, encodeVirtualHost, virtualHostNames)],
  ]);
}

/** What else `serve` wants to know of a resource: see EncodedResource. */
type Names = Pick<EncodedResource, "domains" | "clusters">;

function virtualHostNames({ domains, routes }: VirtualHost): Names {
  return { domains, clusters: [...new Set(routes.flatMap(clustersOf))] };
}

function listenerNames({ filterChains }: Listener): Names {
  const clusters = filterChains.flatMap((chain) => {
    const access = chain.http === undefined ? chain.access : chain.http.access;
    const judges = (access?.external ?? []).map(({ service }) => service.cluster);
    if (chain.tcp !== undefined) return [...judges, ...chain.tcp.destinations.map(({ cluster }) => cluster)];
    const { routes } = chain.http;
    const hosts = routes.kind === "inline" ? routes.configuration.virtualHosts : [];
    return [...judges, ...hosts.flatMap((host) => host.routes.flatMap(clustersOf))];
  });
  return { clusters: [...new Set(clusters)] };
}

function encodeAll<T extends object>(
  all: ReadonlyMap<string, T>,
  encode: (value: T) => Uint8Array,
  namesOf?: (value: T) => Names,
): Encoded {
  let encoded = maps.get(all);
  if (encoded === undefined) {
    encoded = new Map([...all].map(([name, value]) => [name, encodeOne(name, value, encode, namesOf)]));
    maps.set(all, encoded);
  }
  return encoded;
}

function encodeOne<T extends object>(
  name: string,
  value: T,
  encode: (value: T) => Uint8Array,
  namesOf?: (value: T) => Names,
): EncodedResource {
  const known = elements.get(value);
  // One virtual host can stand in two route configurations, under two names.
  if (known?.name === name) return known;
  const encoded = encodedResource(name, encode(value), namesOf?.(value));
  elements.set(value, encoded);
  return encoded;
}
