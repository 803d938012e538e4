import type { Route, RouteConfiguration, VirtualHost } from "../model/route.ts";
import { DomainTable } from "./domain-table.ts";
import { PathTest } from "./path-test.ts";
import { firstAccepting, PathTree } from "./path-tree.ts";
import type { Predicate } from "./predicate.ts";
import { predicatesOf } from "./predicate.ts";
import { RegexError } from "./regex.ts";
import type { RequestView } from "./request-view.ts";
import { pathEnd } from "./request-view.ts";

/** Makes what a route leads to, once, when the table is compiled: the proxy's ready stack, or nothing for `explain`. */
export type BuildTarget<T> = (route: Route, virtualHost: VirtualHost) => T;

/** A matched route. The same object each time, so that matching allocates nothing. */
export interface RouteDecision<T> {
  readonly virtualHost: VirtualHost;
  readonly route: Route;
  readonly target: T;
}

/** Compiles a configuration. Throws RouteError when a pattern is refused. */
export function compileRoutes<T>(configuration: RouteConfiguration, build: BuildTarget<T>): RouteTable<T> {
  const hosts = new Map<string, CompiledVirtualHost<T>>();
  for (const virtualHost of configuration.virtualHosts) {
    if (!hosts.has(virtualHost.name))
      hosts.set(virtualHost.name, new CompiledVirtualHost(virtualHost, build));
  }
  return new RouteTable(configuration.name, hosts, build);
}

/** A pattern of a route was refused; says which route. */
export class RouteError extends Error {
  readonly route: Route;
  readonly virtualHost: VirtualHost;

  constructor(virtualHost: VirtualHost, route: Route, cause: Error) {
    super(`virtual host ${virtualHost.name}, route ${route.name}: ${cause.message}`, { cause });
    this.name = "RouteError";
    this.route = route;
    this.virtualHost = virtualHost;
  }
}

/** A compiled route configuration. Never changes: an update makes a new table that shares what stayed. */
export class RouteTable<T> {
  readonly name: string;
  readonly #hosts: ReadonlyMap<string, CompiledVirtualHost<T>>;
  readonly #domains: DomainTable<CompiledVirtualHost<T>>;
  readonly #build: BuildTarget<T>;

  /** Use `compileRoutes`. */
  constructor(name: string, hosts: ReadonlyMap<string, CompiledVirtualHost<T>>, build: BuildTarget<T>) {
    this.name = name;
    this.#hosts = hosts;
    this.#build = build;
    this.#domains = new DomainTable(
      [...hosts.values()].flatMap((value) => value.virtualHost.domains.map((domain) => ({ domain, value }))),
    );
  }

  get virtualHosts(): readonly VirtualHost[] {
    return [...this.#hosts.values()].map((host) => host.virtualHost);
  }

  /** The virtual host that answers for an authority, whether or not one of its routes matches. */
  findVirtualHost(authority: string): VirtualHost | undefined {
    return this.#domains.find(authority)?.value.virtualHost;
  }

  /** The first route of the request's virtual host that matches; `authority`: by which that is found. No other virtual host is tried after the first (Envoy's rule). */
  match(request: RequestView, authority = request.authority): RouteDecision<T> | undefined {
    return this.#domains.find(authority)?.value.match(request);
  }

  /**
   * A table where `changed` virtual hosts replace those of the same name or are added, and those named in `removed` are gone.
   * The others are shared, targets included. Throws RouteError.
   */
  withVirtualHosts(changed: readonly VirtualHost[], removed: readonly string[] = []): RouteTable<T> {
    const hosts = new Map(this.#hosts);
    for (const name of removed) hosts.delete(name);
    for (const virtualHost of changed) {
      hosts.set(virtualHost.name, new CompiledVirtualHost(virtualHost, this.#build));
    }
    return new RouteTable(this.name, hosts, this.#build);
  }

  /** For `explain`: the virtual host as compiled and the domain that led to it. */
  locate(authority: string): { readonly domain: string; readonly host: CompiledVirtualHost<T> } | undefined {
    const entry = this.#domains.find(authority);
    return entry && { domain: entry.domain, host: entry.value };
  }
}

/** A virtual host with its routes made ready. */
export class CompiledVirtualHost<T> {
  readonly virtualHost: VirtualHost;
  /** All routes, in order. */
  readonly routes: readonly CompiledRoute<T>[];
  readonly #tree = new PathTree<CompiledRoute<T>>();
  /** Routes that ignore case, by lower-case path. */
  readonly #foldedTree = new PathTree<CompiledRoute<T>>();
  /** Routes that no tree can find: any path, or a regex. */
  readonly #others: CompiledRoute<T>[] = [];

  constructor(virtualHost: VirtualHost, build: BuildTarget<T>) {
    this.virtualHost = virtualHost;
    this.routes = virtualHost.routes.map((route, order) => compileRoute(virtualHost, route, order, build));
    for (const route of this.routes) {
      const { kind, value, ignoreCase } = route.path;
      if (kind === "any") this.#tree.add("prefix", "", route);
      else if (kind === "regex") this.#others.push(route);
      else (ignoreCase ? this.#foldedTree : this.#tree).add(kind, value, route);
    }
  }

  match(request: RequestView): CompiledRoute<T> | undefined {
    const path = request.path;
    const end = pathEnd(path);
    let best = this.#tree.first(path, end, request, undefined);
    if (!this.#foldedTree.isEmpty) best = this.#foldedTree.first(path.toLowerCase(), end, request, best);
    if (this.#others.length === 0) return best;
    return firstAccepting(this.#others, request, best);
  }
}

/** A route made ready. */
export class CompiledRoute<T> implements RouteDecision<T> {
  readonly virtualHost: VirtualHost;
  readonly route: Route;
  readonly target: T;
  readonly order: number;
  readonly path: PathTest;
  /** Everything that the route asks for besides the path. */
  readonly predicates: readonly Predicate[];

  constructor(virtualHost: VirtualHost, route: Route, order: number, path: PathTest, target: T) {
    this.virtualHost = virtualHost;
    this.route = route;
    this.order = order;
    this.path = path;
    this.target = target;
    this.predicates = predicatesOf(route.match);
  }

  /** All predicates hold. The path is the tree's business, except for a regex, which no tree can hold. */
  accepts(request: RequestView): boolean {
    for (const predicate of this.predicates) if (!predicate.test(request)) return false;
    return this.path.kind !== "regex" || this.path.test(request.path.slice(0, pathEnd(request.path)));
  }

  /** The first predicate that fails, in words; undefined when the route matches. */
  failure(request: RequestView): string | undefined {
    const path = request.path.slice(0, pathEnd(request.path));
    if (!this.path.test(path)) return this.path.explain(path);
    return this.predicates.find((predicate) => !predicate.test(request))?.explain(request);
  }
}

function compileRoute<T>(
  virtualHost: VirtualHost,
  route: Route,
  order: number,
  build: BuildTarget<T>,
): CompiledRoute<T> {
  try {
    return new CompiledRoute(
      virtualHost,
      route,
      order,
      new PathTest(route.match.path),
      build(route, virtualHost),
    );
  } catch (thrown) {
    if (thrown instanceof RegexError) throw new RouteError(virtualHost, route, thrown);
    throw thrown;
  }
}
