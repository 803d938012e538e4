import type { Cluster } from "../../common/model/cluster.ts";
import type { Endpoint } from "../../common/model/endpoint.ts";
import type { Listener } from "../../common/model/listener.ts";
import type { ProxyNode } from "../../common/model/node.ts";
import { proxyNodeId } from "../../common/model/node.ts";
import type { Route, RouteConfiguration, VirtualHost } from "../../common/model/route.ts";
import { noHeaderOperations } from "../../common/model/route.ts";
import { encodeCluster } from "../../common/xds/cluster.ts";
import type { EncodedResource, ResourceSet } from "../../common/xds/encoded-resource.ts";
import { encodedResource } from "../../common/xds/encoded-resource.ts";
import { encodeEndpoints } from "../../common/xds/endpoint.ts";
import { encodeListener } from "../../common/xds/listener.ts";
import { encodeRouteConfiguration, encodeVirtualHost } from "../../common/xds/route.ts";
import { typeUrl, virtualHostResourceName } from "../../common/xds/type-url.ts";

/** A small mesh as one proxy sees it, before it is encoded. */
export interface SmallMesh {
  /** Cluster name → its endpoints. */
  readonly clusters: Readonly<Record<string, readonly Endpoint[]>>;
  /** Virtual host → the cluster that its only route names. */
  readonly hosts: Readonly<Record<string, string>>;
  readonly listenerPort?: number;
}

export function endpoint(address: string, port: number): Endpoint {
  return { address, port, weight: 1, health: "healthy" };
}

export function routeTo(cluster: string): Route {
  return {
    name: "default",
    match: { path: { kind: "any" }, headers: [], queryParams: [] },
    action: {
      kind: "forward",
      destinations: [
        {
          destination: cluster,
          weight: 100,
          requestHeaders: noHeaderOperations,
          responseHeaders: noHeaderOperations,
        },
      ],
      mirrors: [],
    },
    requestHeaders: noHeaderOperations,
    responseHeaders: noHeaderOperations,
  };
}

/** All resources of the mesh: EDS clusters, one outbound listener, one route configuration `http_proxy` with VHDS. */
export function encodeMesh({ clusters, hosts, listenerPort = 15_001 }: SmallMesh): ResourceSet {
  const eds = Object.keys(clusters).map((name) => encodedResource(name, encodeCluster(edsCluster(name))));
  const endpoints = Object.entries(clusters).map(([cluster, list]) =>
    encodedResource(cluster, encodeEndpoints({ cluster, endpoints: list })),
  );
  const virtualHosts = Object.entries(hosts).map(([name, cluster]) => {
    const host: VirtualHost = { name, domains: [name], routes: [routeTo(cluster)] };
    const names = { domains: host.domains, clusters: [cluster] };
    return encodedResource(virtualHostResourceName("http_proxy", name), encodeVirtualHost(host), names);
  });
  const configuration: RouteConfiguration = { name: "http_proxy", virtualHosts: [], vhds: true };
  return new Map([
    [typeUrl.cluster, byName(eds)],
    [typeUrl.endpoints, byName(endpoints)],
    [typeUrl.listener, byName([encodedResource("outbound", encodeListener(outboundListener(listenerPort)))])],
    [
      typeUrl["route-configuration"],
      byName([encodedResource("http_proxy", encodeRouteConfiguration(configuration))]),
    ],
    [typeUrl["virtual-host"], byName(virtualHosts)],
  ]);
}

export function edsCluster(name: string): Cluster {
  return { name, discovery: { kind: "eds" }, loadBalancer: { kind: "round-robin" }, connectTimeoutMs: 1000 };
}

export function outboundListener(port: number): Listener {
  const routes = { kind: "rds", routeConfigName: "http_proxy" } as const;
  return {
    name: "outbound",
    address: "127.0.0.1",
    port,
    direction: "outbound",
    filterChains: [{ name: "http", http: { statPrefix: "outbound", routes } }],
  };
}

export function sidecar(name: string): ProxyNode {
  const parts = { kind: "sidecar", name, namespace: "default" } as const;
  return {
    ...parts,
    id: proxyNodeId(parts, "127.0.0.1"),
    serviceAccount: "default",
    labels: {},
    bindings: { servers: new Map() },
  };
}

function byName(resources: readonly EncodedResource[]): ReadonlyMap<string, EncodedResource> {
  return new Map(resources.map((resource) => [resource.name, resource]));
}
