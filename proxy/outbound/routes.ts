import type { RouteConfiguration, VirtualHost } from "../../common/model/route.ts";
import type { BuildTarget, RouteTable } from "../../common/routing/route-table.ts";
import { compileRoutes } from "../../common/routing/route-table.ts";
import { meshError } from "../errors.ts";
import type { Service } from "../http/layer.ts";

/** The compiled routes of one configuration, as a listener's stack holds them: the table is replaced, never changed. */
export class CurrentRoutes {
  /** Undefined while the configuration has not arrived. */
  table: RouteTable<Service> | undefined = undefined;
  #configuration: RouteConfiguration | undefined = undefined;
  readonly #build: BuildTarget<Service>;

  constructor(build: BuildTarget<Service>) {
    this.#build = build;
  }

  /** Compiles what changed beside the old table, then swaps by one assignment. Patterns were checked before, so it does not throw. */
  update(configuration: RouteConfiguration | undefined): void {
    const before = this.#configuration;
    if (configuration === before) return;
    this.#configuration = configuration;
    if (configuration === undefined) this.table = undefined;
    else if (this.table === undefined || before === undefined) {
      this.table = compileRoutes(configuration, this.#build);
    } else {
      const { changed, removed } = difference(before.virtualHosts, configuration.virtualHosts);
      if (changed.length + removed.length > 0) this.table = this.table.withVirtualHosts(changed, removed);
    }
  }
}

/** All route configurations of a proxy by name. Listeners may name one before it arrives. */
export class RouteTables {
  readonly #byName = new Map<string, CurrentRoutes>();
  readonly #build: BuildTarget<Service>;

  constructor(build: BuildTarget<Service>) {
    this.#build = build;
  }

  /** The stable holder that a stack keeps: the name is resolved when the listener is set up. */
  obtain(name: string): CurrentRoutes {
    let routes = this.#byName.get(name);
    if (routes === undefined) {
      routes = new CurrentRoutes(this.#build);
      this.#byName.set(name, routes);
    }
    return routes;
  }

  /** Routes that a listener carries itself; they change only with the listener. */
  inline(configuration: RouteConfiguration): CurrentRoutes {
    const routes = new CurrentRoutes(this.#build);
    routes.update(configuration);
    return routes;
  }

  /** Takes all configurations; those that are the same objects as before cost nothing. */
  update(configurations: ReadonlyMap<string, RouteConfiguration>): void {
    for (const [name, configuration] of configurations) this.obtain(name).update(configuration);
    for (const [name, routes] of this.#byName) {
      if (!configurations.has(name)) routes.update(undefined);
    }
  }
}

/** Finds the route and hands on to the service that was built for it. Reads the table once, so a swap never splits a request. */
export function pickRoute(routes: { readonly table: RouteTable<Service> | undefined }): Service {
  return (exchange) => {
    const table = routes.table;
    if (table === undefined) return Promise.reject(meshError("no_route", "route_configuration_not_found"));
    const decision = table.match(exchange);
    if (decision === undefined) {
      const host = table.findVirtualHost(exchange.authority);
      return Promise.reject(
        meshError("no_route", host === undefined ? "virtual_host_not_found" : "route_not_found"),
      );
    }
    exchange.route = decision.route;
    return decision.target(exchange);
  };
}

function difference(
  before: readonly VirtualHost[],
  after: readonly VirtualHost[],
): { readonly changed: readonly VirtualHost[]; readonly removed: readonly string[] } {
  const old = new Map(before.map((host) => [host.name, host]));
  const changed = after.filter((host) => old.get(host.name) !== host);
  for (const { name } of after) old.delete(name);
  return { changed, removed: [...old.keys()] };
}
