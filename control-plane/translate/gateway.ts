import type { FilterChain, Listener } from "../../common/model/listener.ts";
import type { ProxyNode } from "../../common/model/node.ts";
import type { VirtualHost } from "../../common/model/route.ts";
import { hasLabels } from "../snapshot/endpoints.ts";
import { gatewayName } from "../snapshot/gateways.ts";
import { intersect, isVisible } from "../snapshot/hosts.ts";
import type { CompiledServer, MeshGateway, MeshVirtualService, Snapshot } from "../snapshot/snapshot.ts";
import type { ChainContext } from "./connection-chains.ts";
import { ChainMatches } from "./connection-chains.ts";
import type { BoundServer } from "./gateway-tls.ts";
import {
  httpsChain,
  passthroughChains,
  redirectHost,
  ServerNames,
  tcpChains,
  tlsRouteConfigurationName,
} from "./gateway-tls.ts";
import { findHashing } from "./hash-policies.ts";
import { meshView } from "./mesh-view.ts";
import type { SkippedRule } from "./proxy-resources.ts";
import { clustersOf } from "./routes.ts";
import { translateHost } from "./virtual-hosts.ts";

export interface GatewayResources {
  readonly listeners: readonly Listener[];
  /** By route configuration, then by virtual host name. A port whose Gateways no rule is bound to has none: 404 for all. */
  readonly virtualHosts: ReadonlyMap<string, ReadonlyMap<string, VirtualHost>>;
  /** What the routes send to: a gateway gets these clusters and no others. */
  readonly clusters: ReadonlySet<string>;
  readonly skipped: readonly SkippedRule[];
}

/** All Gateways whose selector this proxy's labels satisfy, in any namespace; several on one port share its listener. */
export function translateGateway(snapshot: Snapshot, node: ProxyNode): GatewayResources {
  const bound = snapshot.gateways
    .filter(({ selector }) => hasLabels(node.labels, selector))
    .flatMap((gateway) => gateway.servers.map((server) => ({ gateway, server })));
  const listeners: Listener[] = [];
  const virtualHosts = new Map<string, ReadonlyMap<string, VirtualHost>>();
  const skipped: SkippedRule[] = [];
  const clusters = new Set<string>();
  const ports = [...Map.groupBy(bound, ({ server }) => server.port)].sort(([a], [b]) => a - b);
  for (const [port, servers] of ports) {
    const chains = portChains(snapshot, node, servers);
    if (chains.length > 0)
      listeners.push(
        gatewayListener(node, port, servers, chains, snapshot.settings.gatewaysExpectProxyHeader === true),
      );
    for (const { tcp } of chains) for (const { cluster } of tcp?.destinations ?? []) clusters.add(cluster);
    // Each HTTPS server has routes of its own, so what one of the port's servers admits is not left out.
    bindHosts(snapshot, node, port, servers, skipped);
    for (const [name, group] of Map.groupBy(servers, routeConfigurationOf)) {
      if (name === undefined || !chains.some((chain) => chain.name === name)) continue;
      const hosts = portHosts(snapshot, node, port, group, skipped);
      virtualHosts.set(name, hosts);
      for (const { routes } of hosts.values())
        for (const name of routes.flatMap(clustersOf)) clusters.add(name);
    }
  }
  return { listeners, virtualHosts, clusters, skipped: distinct(skipped) };
}

/** A rule that is left out at every port for the same reason is left out once. */
function distinct(skipped: readonly SkippedRule[]): readonly SkippedRule[] {
  return [...new Map(skipped.map((rule) => [JSON.stringify(rule), rule])).values()];
}

/** Istio's name for the routes of a gateway's HTTP port. */
export function routeConfigurationName(port: number): string {
  return `http.${port}`;
}

function routeConfigurationOf(bound: BoundServer): string | undefined {
  const { protocol, port } = bound.server;
  if (protocol !== "http" && protocol !== "https") return undefined;
  return protocol === "https" ? tlsRouteConfigurationName(bound) : routeConfigurationName(port);
}

/**
 * All plain servers of a port share one chain; every TLS server has its own, by server name, and every match of a rule for connections.
 * Where plain HTTP and TCP meet, the older server counts: nothing tells them apart.
 */
function portChains(
  snapshot: Snapshot,
  node: ProxyNode,
  servers: readonly BoundServer[],
): readonly FilterChain[] {
  const { services } = meshView(snapshot, node);
  const names = new ServerNames();
  const taken = new ChainMatches();
  const plain = servers.find(({ server }) => server.protocol === "http" || server.protocol === "tcp");
  const chains = servers.flatMap((bound): readonly FilterChain[] => {
    const { protocol, port } = bound.server;
    if (protocol === "http" || (protocol === "tcp" && plain?.server.protocol !== "tcp")) return [];
    if (protocol === "https") return [httpsChain(bound, names)].filter((chain) => chain !== undefined);
    const gateway = gatewayName(bound.gateway);
    const context: ChainContext = {
      snapshot,
      node,
      place: { node, gateway, port },
      find: (hostname) => services.get(hostname),
    };
    const virtuals = snapshot.virtualServices.all.filter(
      ({ gateways, exportTo, key }) =>
        gateways.includes(gateway) && isVisible(exportTo, key.namespace, node.namespace),
    );
    if (protocol === "passthrough") return passthroughChains(bound, virtuals, names, context);
    const admitted = virtuals.filter(
      (virtual) => admittedHosts(virtual, bound.gateway, bound.server).length > 0,
    );
    return tcpChains(bound, admitted, names, taken, context);
  });
  if (plain === undefined || plain.server.protocol === "tcp") return chains;
  const name = routeConfigurationName(plain.server.port);
  return [{ name, http: { statPrefix: name, routes: { kind: "rds", routeConfigName: name } } }, ...chains];
}

function gatewayListener(
  node: ProxyNode,
  port: number,
  servers: readonly BoundServer[],
  filterChains: readonly FilterChain[],
  expectsProxyHeader: boolean,
): Listener {
  const bind = servers.find(({ server }) => server.bind !== undefined)?.server.bind ?? "0.0.0.0";
  const binding = node.bindings.servers.get(port) ?? { host: bind, port };
  return {
    name: `0.0.0.0_${port}`,
    address: binding.host,
    port: binding.port,
    direction: "gateway",
    ...(expectsProxyHeader ? { expectsProxyHeader: true as const } : {}),
    filterChains,
    source: servers[0]!.server.source,
  };
}

/** A VirtualService through the Gateway that admitted it. */
interface Binding {
  readonly virtual: MeshVirtualService;
  readonly gateway: string;
}

function portHosts(
  snapshot: Snapshot,
  node: ProxyNode,
  port: number,
  servers: readonly BoundServer[],
  skipped: SkippedRule[],
): ReadonlyMap<string, VirtualHost> {
  const { services } = meshView(snapshot, node);
  const hashing = findHashing(snapshot, node.namespace);
  const hosts = new Map<string, VirtualHost>();
  for (const [host, bindings] of bindHosts(snapshot, node, port, servers, [])) {
    const name = `${host}:${port}`;
    // A rule may be narrowed to one of several Gateways on this port, so each Gateway's share is translated for itself.
    const shares = runsByGateway(bindings).flatMap((same) => {
      const plan = {
        name,
        domains: [host],
        virtuals: same.map(({ virtual }) => virtual),
        place: {
          node,
          gateway: same[0]!.gateway,
          port,
          rateLimits: snapshot.rateLimits.gateways.get(same[0]!.gateway) ?? [],
        },
      };
      return translateHost(plan, (hostname) => services.get(hostname), hashing) ?? [];
    });
    for (const share of shares) skipped.push(...share.skipped);
    const [first, ...others] = shares.filter(({ virtualHost }) => virtualHost.routes.length > 0);
    if (first === undefined) continue;
    const merged = {
      ...first.virtualHost,
      routes: [first, ...others].flatMap((share) => share.virtualHost.routes),
    };
    hosts.set(name, others.length === 0 ? first.virtualHost : merged);
  }
  for (const bound of servers.filter(({ server }) => server.httpsRedirect)) {
    const own = bound.server.hosts.map(({ host }) => host);
    const admitted = [...bindHosts(snapshot, node, port, [bound], []).keys()];
    for (const host of [...own, ...admitted]) hosts.set(`${host}:${port}`, redirectHost(host, bound));
  }
  return hosts;
}

/** Host → what is bound to it, oldest first. A VirtualService that two Gateways of the port admit counts once, by the older. */
function bindHosts(
  snapshot: Snapshot,
  node: ProxyNode,
  port: number,
  servers: readonly BoundServer[],
  skipped: SkippedRule[],
): ReadonlyMap<string, readonly Binding[]> {
  const byHost = new Map<string, Binding[]>();
  for (const virtual of snapshot.virtualServices.all) {
    const why = leftOut(virtual, node, servers);
    const hosts = new Map<string, string>();
    for (const { gateway, server } of why === undefined ? servers : []) {
      if (!virtual.gateways.includes(gatewayName(gateway))) continue;
      for (const host of admittedHosts(virtual, gateway, server)) {
        if (!hosts.has(host)) hosts.set(host, gatewayName(gateway));
      }
    }
    for (const [host, gateway] of hosts) {
      const bindings = byHost.get(host);
      if (bindings === undefined) byHost.set(host, [{ virtual, gateway }]);
      else bindings.push({ virtual, gateway });
    }
    if (hosts.size > 0) continue;
    const admitted = servers.map(({ server }) =>
      server.hosts.map(({ namespace, host }) => `${namespace}/${host}`),
    );
    const reason =
      why ?? `no server of port ${port} admits its hosts (they admit ${admitted.flat().join(", ")})`;
    for (const { name, source } of virtual.rules) {
      skipped.push({ name, source, hosts: virtual.hosts, why: reason });
    }
  }
  return new Map([...byHost].sort(([a], [b]) => (a < b ? -1 : Number(a > b))));
}

/** Neighbours of one Gateway together; the order stays. */
function runsByGateway(bindings: readonly Binding[]): readonly (readonly Binding[])[] {
  const runs: Binding[][] = [];
  for (const binding of bindings) {
    const last = runs.at(-1);
    if (last?.[0]?.gateway === binding.gateway) last.push(binding);
    else runs.push([binding]);
  }
  return runs;
}

function leftOut(
  virtual: MeshVirtualService,
  node: ProxyNode,
  servers: readonly BoundServer[],
): string | undefined {
  const here = [...new Set(servers.map(({ gateway }) => gatewayName(gateway)))];
  if (!virtual.gateways.some((name) => here.includes(name))) {
    return `its VirtualService is for ${virtual.gateways.join(", ")}, not for ${here.join(", ")}`;
  }
  if (isVisible(virtual.exportTo, virtual.key.namespace, node.namespace)) return undefined;
  return `its VirtualService is not exported to namespace ${node.namespace}, where this gateway runs`;
}

/** Where a VirtualService's hosts and a server's overlap, in the narrower of the two words (Istio's Server.hosts). */
function admittedHosts(virtual: MeshVirtualService, gateway: MeshGateway, server: CompiledServer): string[] {
  return server.hosts
    .filter(({ namespace }) => {
      const wanted = namespace === "." ? gateway.key.namespace : namespace;
      return wanted === "*" || wanted === virtual.key.namespace;
    })
    .flatMap(({ host }) => virtual.hosts.flatMap((own) => intersect(host, own) ?? []));
}
