import type { Clock } from "../../common/base/clock.ts";
import type { RouteConfiguration, VirtualHost } from "../../common/model/route.ts";
import type { BuildTarget, RouteTable } from "../../common/routing/route-table.ts";
import { compileRoutes } from "../../common/routing/route-table.ts";
import { meshError } from "../errors.ts";
import type { Exchange, Response } from "../http/exchange.ts";
import type { Service } from "../http/layer.ts";
import { askedHost } from "./asked-host.ts";
import type { OnDemandHosts } from "./on-demand-hosts.ts";

/** The compiled routes of one configuration, as a listener's stack holds them: the table is replaced, never changed. */
export class CurrentRoutes {
  /** Undefined while the configuration is not there. */
  table: RouteTable<Service> | undefined = undefined;
  /** Whether the first routes have arrived, or have been waited for long enough. */
  isSettled = false;
  /** Present when virtual hosts are asked for at first use. */
  readonly hosts: OnDemandHosts | undefined;
  #configuration: RouteConfiguration | undefined = undefined;
  #waiting: (() => void)[] = [];
  readonly #build: BuildTarget<Service>;
  readonly #clock: Clock;

  constructor(
    build: BuildTarget<Service>,
    clock: Clock,
    hostsFor?: (routes: CurrentRoutes) => OnDemandHosts | undefined,
  ) {
    this.#build = build;
    this.#clock = clock;
    this.hosts = hostsFor?.(this);
  }

  /**
   * Calls back once settled. A listener is open before its routes are there, because only its opening makes us ask for them; what comes
   * in between would otherwise be told that there is no route.
   */
  whenSettled(run: () => void): void {
    this.#waiting.push(run);
    if (this.#waiting.length === 1) this.#clock.after(firstRoutesMs, () => this.#settle());
  }

  /**
   * Compiles what changed beside the old table, then swaps by one assignment. Patterns were checked before, so nothing is
   * expected to throw; if a route does, the old table stays.
   */
  update(configuration: RouteConfiguration | undefined): void {
    const before = this.#configuration;
    if (configuration === before) return;
    if (configuration === undefined) this.table = undefined;
    else if (this.table === undefined || before === undefined) {
      this.table = compileRoutes(configuration, this.#build);
    } else {
      const { changed, removed } = difference(before.virtualHosts, configuration.virtualHosts);
      if (changed.length + removed.length > 0) this.table = this.table.withVirtualHosts(changed, removed);
    }
    // Only now: what is not in the table must count as news the next time.
    this.#configuration = configuration;
    // Virtual hosts that come one by one come after their configuration.
    if (configuration !== undefined && (!configuration.vhds || configuration.virtualHosts.length > 0))
      this.#settle();
  }

  #settle(): void {
    this.isSettled = true;
    for (const run of this.#waiting.splice(0)) run();
  }
}

/** Makes what asks for the virtual hosts of a route configuration. */
export type HostsOf = (configuration: string, routes: CurrentRoutes) => OnDemandHosts;

/** All route configurations of a proxy by name. Listeners may name one before it arrives. */
export class RouteTables {
  readonly #byName = new Map<string, CurrentRoutes>();
  readonly #build: BuildTarget<Service>;
  readonly #clock: Clock;
  readonly #hostsOf: HostsOf | undefined;

  /** `hostsOf`: who asks for the virtual hosts of a configuration at first use; absent when they come unasked. */
  constructor(build: BuildTarget<Service>, clock: Clock, hostsOf?: HostsOf) {
    this.#build = build;
    this.#clock = clock;
    this.#hostsOf = hostsOf;
  }

  /** The stable holder that a stack keeps: the name is resolved when the listener is set up. */
  obtain(name: string): CurrentRoutes {
    let routes = this.#byName.get(name);
    if (routes === undefined) {
      routes = new CurrentRoutes(this.#build, this.#clock, (self) => this.#hostsOf?.(name, self));
      this.#byName.set(name, routes);
    }
    return routes;
  }

  /** Routes that a listener carries itself; they change only with the listener. */
  inline(configuration: RouteConfiguration): CurrentRoutes {
    const routes = new CurrentRoutes(this.#build, this.#clock);
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
export function pickRoute(routes: CurrentRoutes): Service {
  const { hosts } = routes;
  if (hosts !== undefined) {
    return (exchange) =>
      routes.isSettled && hosts.count(exchange)
        ? forward(routes.table, exchange)
        : forwardWhenFound(routes, hosts, exchange);
  }
  return (exchange) =>
    routes.isSettled ? forward(routes.table, exchange) : forwardWhenSettled(routes, exchange);
}

function forward(table: RouteTable<Service> | undefined, exchange: Exchange): Promise<Response> {
  if (table === undefined) return Promise.reject(meshError("no_route", "route_configuration_not_found"));
  const authority = askedHost(exchange);
  const decision = table.match(exchange, authority);
  if (decision === undefined) {
    const host = table.findVirtualHost(authority);
    return Promise.reject(
      meshError("no_route", host === undefined ? "virtual_host_not_found" : "route_not_found"),
    );
  }
  exchange.route = decision.route;
  return decision.target(exchange);
}

async function forwardWhenSettled(routes: CurrentRoutes, exchange: Exchange): Promise<Response> {
  await settled(routes, exchange);
  return forward(routes.table, exchange);
}

async function forwardWhenFound(
  routes: CurrentRoutes,
  hosts: OnDemandHosts,
  exchange: Exchange,
): Promise<Response> {
  if (!routes.isSettled) await settled(routes, exchange);
  await hosts.find(exchange);
  return forward(routes.table, exchange);
}

function settled(routes: CurrentRoutes, exchange: Exchange): Promise<void> {
  return new Promise((resolve, reject) => {
    exchange.whenCancelled(reject);
    routes.whenSettled(() => {
      if (exchange.cancelCause !== undefined) return;
      exchange.whenCancelled(undefined);
      resolve();
    });
  });
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

/** How long a request waits for the first routes. */
const firstRoutesMs = 2_000;
