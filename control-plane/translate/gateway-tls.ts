import type { FilterChain } from "../../common/model/listener.ts";
import type { VirtualHost } from "../../common/model/route.ts";
import { noHeaderOperations } from "../../common/model/route.ts";
import { intersect } from "../snapshot/hosts.ts";
import type { CompiledServer, MeshGateway, MeshVirtualService } from "../snapshot/snapshot.ts";
import type { ChainContext, ChainMatches } from "./connection-chains.ts";
import { holdingMatches, ruleChain } from "./connection-chains.ts";

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

  /**
   * Those that were free, or undefined when none was; the empty list is any name. `among`: what else the chains ask for; the same names
   * may be taken once for each.
   */
  take(names: readonly string[], among = ""): readonly string[] | undefined {
    const wanted = names.includes("*") ? ["*"] : names;
    const free = [...new Set(wanted)].filter((name) => !this.#taken.has(`${name} ${among}`));
    for (const name of free) this.#taken.add(`${name} ${among}`);
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
    ...(serverNames.length > 0 ? { serverNames } : { transport: "tls" as const }),
    tls,
    http: { statPrefix: name, routes: { kind: "rds", routeConfigName: name } },
  };
}

/** The chains of a server that passes TLS through: one per match of the `tls` rules that are bound to it, oldest first. */
export function passthroughChains(
  bound: BoundServer,
  virtuals: readonly MeshVirtualService[],
  names: ServerNames,
  context: ChainContext,
): readonly FilterChain[] {
  const { port } = bound.server;
  return holdingMatches(virtuals, "tls", context.place).flatMap((holding): FilterChain[] => {
    const { serverNames, destinationCidrs = [] } = holding.match;
    const admitted = admittedNames(bound, holding.owner, serverNames);
    const free = names.take(admitted, destinationCidrs.join(","));
    if (free === undefined) return [];
    const match = {
      ...(destinationCidrs.length > 0 ? { destinationCidrs } : {}),
      // For any name: what is not TLS is not meant.
      ...(free.length > 0 ? { serverNames: free } : { transport: "tls" as const }),
    };
    return [ruleChain(`tls.${port}`, holding, match, context)];
  });
}

/**
 * The chains of a server for TCP, or one that ends TLS and passes on what is inside: one per match of the `tcp` rules that are bound to it.
 * The server's hosts are the server names of the one, and say nothing about connections of the other.
 */
export function tcpChains(
  bound: BoundServer,
  virtuals: readonly MeshVirtualService[],
  names: ServerNames,
  taken: ChainMatches,
  context: ChainContext,
): readonly FilterChain[] {
  const { port, tls, hosts } = bound.server;
  const serverNames = tls && names.take(hosts.map(({ host }) => host));
  if (tls !== undefined && serverNames === undefined) return [];
  return holdingMatches(virtuals, "tcp", context.place).flatMap((holding): FilterChain[] => {
    const { destinationCidrs = [], sourceCidrs = [] } = holding.match;
    const match = {
      ...(destinationCidrs.length > 0 ? { destinationCidrs } : {}),
      ...(sourceCidrs.length > 0 ? { sourceCidrs } : {}),
      ...(tls === undefined
        ? {}
        : serverNames!.length > 0
          ? { serverNames: serverNames! }
          : { transport: "tls" as const }),
    };
    if (!taken.take(match)) return [];
    return [{ ...ruleChain(`tcp.${port}`, holding, match, context), ...(tls && { tls }) }];
  });
}

/** Where a VirtualService's server names and a server's hosts overlap. `owner`: `namespace.name` of the VirtualService. */
function admittedNames({ gateway, server }: BoundServer, owner: string, names: readonly string[]): string[] {
  const namespace = owner.slice(0, owner.indexOf("."));
  return server.hosts
    .filter((host) => {
      const wanted = host.namespace === "." ? gateway.key.namespace : host.namespace;
      return wanted === "*" || wanted === namespace;
    })
    .flatMap(({ host }) => names.flatMap((name) => intersect(host, name) ?? []));
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
