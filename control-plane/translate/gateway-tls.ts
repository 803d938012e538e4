import type { FilterChain } from "../../common/model/listener.ts";
import type { ProxyNode } from "../../common/model/node.ts";
import type { VirtualHost } from "../../common/model/route.ts";
import { noHeaderOperations } from "../../common/model/route.ts";
import { gatewayName } from "../snapshot/gateways.ts";
import { intersect, isVisible } from "../snapshot/hosts.ts";
import type { CompiledServer, MeshGateway, MeshVirtualService } from "../snapshot/snapshot.ts";
import type { FindService } from "./routes.ts";
import { referenceName } from "./routes.ts";
import { scopeFailure } from "./rule-scope.ts";

/** A server of a Gateway that a proxy opens. */
export interface BoundServer {
  readonly gateway: MeshGateway;
  readonly server: CompiledServer;
}

/** Istio's name for the routes of a gateway's HTTPS server: each has its own, so that a host can't be reached under another's name. */
export function tlsRouteConfigurationName({ gateway, server }: BoundServer): string {
  return `https.${server.port}.${server.name}.${gateway.key.name}.${gateway.key.namespace}`;
}

/** Gives every server name of a port to who asks first: no two chains may have the same, and `*` is any. */
export class ServerNames {
  readonly #taken = new Set<string>();

  /** Those that were free, or undefined when none was; the empty list is any name. */
  take(names: readonly string[]): readonly string[] | undefined {
    const wanted = names.includes("*") ? ["*"] : names;
    const free = [...new Set(wanted)].filter((name) => !this.#taken.has(name));
    for (const name of free) this.#taken.add(name);
    if (free.length === 0) return undefined;
    return free[0] === "*" ? [] : free;
  }
}

/** The chain of a server that ends TLS; undefined when older servers of the port have all its names. */
export function httpsChain(bound: BoundServer, names: ServerNames): FilterChain | undefined {
  const { tls, hosts } = bound.server;
  const serverNames = names.take(hosts.map(({ host }) => host));
  if (serverNames === undefined || tls === undefined) return undefined;
  const name = tlsRouteConfigurationName(bound);
  return {
    name,
    ...(serverNames.length > 0 ? { serverNames } : {}),
    tls,
    http: { statPrefix: name, routes: { kind: "rds", routeConfigName: name } },
  };
}

/** The chains of a server that passes TLS through: one per match of the `tls` rules that are bound to it, oldest first. */
export function passthroughChains(
  { gateway, server }: BoundServer,
  virtuals: readonly MeshVirtualService[],
  node: ProxyNode,
  names: ServerNames,
  find: FindService,
): readonly FilterChain[] {
  const label = gatewayName(gateway);
  const place = { node, gateway: label, port: server.port };
  const bound = virtuals.filter(
    ({ gateways, exportTo, key }) =>
      gateways.includes(label) && isVisible(exportTo, key.namespace, node.namespace),
  );
  return bound.flatMap(({ key, tls = [] }) =>
    tls.flatMap(({ matches, destinations }) =>
      matches.flatMap(({ serverNames, scope }): FilterChain[] => {
        if (scopeFailure(scope, place) !== undefined) return [];
        const admitted = server.hosts
          .filter(({ namespace }) => {
            const wanted = namespace === "." ? gateway.key.namespace : namespace;
            return wanted === "*" || wanted === key.namespace;
          })
          .flatMap(({ host }) => serverNames.flatMap((name) => intersect(host, name) ?? []));
        const free = names.take(admitted);
        if (free === undefined) return [];
        const name = `tls.${server.port}.${key.namespace}.${key.name}.${free.join(",") || "*"}`;
        const clusters = destinations.map(({ destination, weight }) => ({
          cluster: referenceName(destination, server.port, find),
          weight,
        }));
        const tcp = { statPrefix: name, destinations: clusters };
        return [{ name, ...(free.length > 0 ? { serverNames: free } : {}), tcp }];
      }),
    ),
  );
}

/** Istio's tls.httpsRedirect: 301 to the same URL with https. */
export function redirectHost(host: string, { server }: BoundServer): VirtualHost {
  return {
    name: `${host}:${server.port}`,
    domains: [host],
    routes: [
      {
        name: "https_redirect",
        source: server.source,
        match: { path: { kind: "any" }, headers: [], queryParams: [] },
        action: { kind: "redirect", scheme: "https", status: 301 },
        requestHeaders: noHeaderOperations,
        responseHeaders: noHeaderOperations,
      },
    ],
  };
}
