import type { Problem } from "../../common/base/problem.ts";
import type { Listener } from "../../common/model/listener.ts";
import type { RouteConfiguration, VirtualHost } from "../../common/model/route.ts";
import { checkRoutes } from "../../common/routing/check-routes.ts";
import type { Rejection, ResourceUpdate } from "../xds/resource-update.ts";
import { checkDomains } from "./check-domains.ts";
import { checkListeners } from "./check-listeners.ts";
import type { ProxyConfig, Received } from "./proxy-config.ts";
import { emptyConfig } from "./proxy-config.ts";

/** Receives resources, judges them and holds the config that follows. Judging changes nothing; `commit` is one assignment. */
export class ResourceState {
  #current: ProxyConfig = emptyConfig;

  get current(): ProxyConfig {
    return this.#current;
  }

  /** Says which resources of the update can't be put to use, and all that is wrong with each. */
  check(update: ResourceUpdate): readonly Rejection[] {
    const rejections: Rejection[] = [];
    for (const [name, problems] of this.#problemsOf(update)) {
      const errors = problems.filter(({ severity }) => severity !== "warning");
      if (errors.length > 0) rejections.push({ name, problems: errors });
    }
    return rejections;
  }

  /** Takes the update without the rejected resources, which keep their last good version. */
  commit(update: ResourceUpdate, rejections: readonly Rejection[]): ProxyConfig {
    const rejected = new Set(rejections.map(({ name }) => name));
    const next = new Map<string, unknown>(this.#current.received[update.type]);
    for (const name of update.removed) next.delete(name);
    for (const [name, resource] of update.updated) if (!rejected.has(name)) next.set(name, resource);
    const received = Object.freeze({ ...this.#current.received, [update.type]: next }) as Received;
    const routes = this.#routesAfter(update, received);
    this.#current = Object.freeze({ received, routes });
    return this.#current;
  }

  *#problemsOf(update: ResourceUpdate): Generator<readonly [string, readonly Problem[]]> {
    if (update.type === "listener") {
      const found = checkListeners(merged(this.#current.received.listener, update), update.updated);
      for (const [name, { value }] of update.updated) {
        yield [name, [...(found.get(name) ?? []), ...problemsOfInlineRoutes(value)]];
      }
    } else if (update.type === "route-configuration") {
      for (const [name, { value }] of update.updated) {
        yield [name, value.virtualHosts.flatMap(checkRoutes)];
      }
    } else if (update.type === "virtual-host") {
      const all = merged(this.#current.received["virtual-host"], update);
      const clashes = checkDomains(all, update.updated);
      for (const [name, { value }] of update.updated) {
        yield [name, [...checkRoutes(value), ...(clashes.get(name) ?? [])]];
      }
    }
  }

  #routesAfter(update: ResourceUpdate, received: Received): ReadonlyMap<string, RouteConfiguration> {
    if (update.type !== "route-configuration" && update.type !== "virtual-host") return this.#current.routes;
    const touched = new Set<string>();
    for (const name of [...update.updated.keys(), ...update.removed]) {
      touched.add(update.type === "virtual-host" ? configurationOf(name) : name);
    }
    const hosts = hostsByConfiguration(received["virtual-host"], touched);
    const routes = new Map(this.#current.routes);
    for (const name of touched) {
      const configuration = received["route-configuration"].get(name)?.value;
      if (configuration === undefined) routes.delete(name);
      else routes.set(name, withHosts(configuration, hosts.get(name)));
    }
    return routes;
  }
}

function problemsOfInlineRoutes({ filterChains }: Listener): readonly Problem[] {
  return filterChains.flatMap(({ http }) =>
    http?.routes.kind === "inline" ? http.routes.configuration.virtualHosts.flatMap(checkRoutes) : [],
  );
}

function merged<T>(
  known: ReadonlyMap<string, T>,
  update: { readonly updated: ReadonlyMap<string, T>; readonly removed: readonly string[] },
): Map<string, T> {
  const all = new Map(known);
  for (const name of update.removed) all.delete(name);
  for (const [name, resource] of update.updated) all.set(name, resource);
  return all;
}

/** The first half of a virtual host's xDS name, `<route configuration>/<virtual host>`. */
export function configurationOf(virtualHostResource: string): string {
  const slash = virtualHostResource.indexOf("/");
  return slash === -1 ? "" : virtualHostResource.slice(0, slash);
}

function hostsByConfiguration(
  received: Received["virtual-host"],
  wanted: ReadonlySet<string>,
): Map<string, VirtualHost[]> {
  const byConfiguration = new Map<string, VirtualHost[]>();
  for (const [name, { value }] of received) {
    const configuration = configurationOf(name);
    if (!wanted.has(configuration)) continue;
    const hosts = byConfiguration.get(configuration);
    if (hosts === undefined) byConfiguration.set(configuration, [value]);
    else hosts.push(value);
  }
  return byConfiguration;
}

/** Unchanged virtual hosts stay the same objects, so only changed ones are compiled again. */
function withHosts(
  configuration: RouteConfiguration,
  hosts: readonly VirtualHost[] | undefined,
): RouteConfiguration {
  if (!configuration.vhds || hosts === undefined) return configuration;
  return Object.freeze({ ...configuration, virtualHosts: [...configuration.virtualHosts, ...hosts] });
}
