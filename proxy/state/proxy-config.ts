import type { RouteConfiguration } from "../../common/model/route.ts";
import type { ResourceUpdate } from "../xds/resource-update.ts";

/** Everything this proxy believes at one moment. Never changed, only replaced. */
export interface ProxyConfig {
  /** What was received and found good, by type and xDS resource name, with versions and raw bytes. */
  readonly received: Received;
  /** Route configurations by name, complete with the virtual hosts that arrived one by one. */
  readonly routes: ReadonlyMap<string, RouteConfiguration>;
}

export type Received = { readonly [Update in ResourceUpdate as Update["type"]]: Update["updated"] };

export const emptyConfig: ProxyConfig = Object.freeze({
  received: Object.freeze({
    cluster: new Map(),
    endpoints: new Map(),
    listener: new Map(),
    "route-configuration": new Map(),
    "virtual-host": new Map(),
  }),
  routes: new Map(),
});

/** The virtual hosts, by VHDS name, that are here because somebody asked for them: all but those for all hosts. */
export function hostsAskedFor({ received }: ProxyConfig): readonly string[] {
  return Array.from(received["virtual-host"])
    .filter(([, { value }]) => !value.domains.includes("*"))
    .map(([name]) => name);
}

/** `policy cluster` of every circuit breaker that some route has. */
export function circuitsNamedBy({ routes }: ProxyConfig): ReadonlySet<string> {
  const named = new Set<string>();
  for (const { virtualHosts } of routes.values()) {
    for (const { action } of virtualHosts.flatMap((host) => host.routes)) {
      if (action.kind !== "forward") continue;
      for (const { destination, breaker } of action.destinations)
        if (breaker !== undefined) named.add(`${breaker.name} ${destination}`);
    }
  }
  return named;
}

/** The names of all rate limit rules that some route has, those of inbound listeners included. */
export function rateLimitsNamedBy({ routes, received }: ProxyConfig): ReadonlySet<string> {
  const inline = Array.from(received.listener.values(), ({ value }) => value.filterChains).flatMap((chains) =>
    chains.flatMap(({ http }) => (http?.routes.kind === "inline" ? [http.routes.configuration] : [])),
  );
  const all = [...routes.values(), ...inline].flatMap(({ virtualHosts }) =>
    virtualHosts.flatMap((host) => host.routes),
  );
  return new Set(all.flatMap(({ rateLimits }) => rateLimits?.map(({ name }) => name) ?? []));
}

/** The names of all clusters that a route configuration may send to, mirrors included. */
export function* clustersNamedBy({ virtualHosts }: RouteConfiguration): Generator<string> {
  for (const { routes } of virtualHosts) {
    for (const { action } of routes) {
      if (action.kind !== "forward") continue;
      for (const { destination, breaker } of action.destinations) {
        yield destination;
        if (breaker?.fallback?.kind === "destination") yield breaker.fallback.destination;
      }
      for (const { destination } of action.mirrors) yield destination;
    }
  }
}
