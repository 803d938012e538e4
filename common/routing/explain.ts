import type { Route, RouteAction } from "../model/route.ts";
import type { Source } from "../model/source.ts";
import type { RequestView } from "./request-view.ts";
import type { RouteTable } from "./route-table.ts";

/** What would become of a request, and why not something else. Plain data: the CLI, the HTTP API and the web page print it. */
export interface Explanation {
  readonly routeConfiguration: string;
  /** Absent: no domain fits the authority. */
  readonly virtualHost?: { readonly name: string; readonly domain: string };
  /** Absent: no route matches. */
  readonly chosen?: ExplainedRoute;
  /** Every route of the virtual host, in the order that they are tried. */
  readonly routes: readonly ExplainedRoute[];
  /** The outcome in one sentence. */
  readonly outcome: string;
}

export interface ExplainedRoute {
  readonly name: string;
  readonly source?: Source;
  readonly verdict: "chosen" | "lost" | "never-reached";
  /** Why it has that verdict, in words. */
  readonly why: string;
  readonly action: RouteAction["kind"];
  /** Empty unless the action is forward. */
  readonly destinations: readonly ExplainedDestination[];
}

export interface ExplainedDestination {
  readonly cluster: string;
  readonly weight: number;
  /** 0..1: the part of the requests that goes there. */
  readonly share: number;
}

/** Runs the same compiled predicates as `RouteTable.match`, one route after the other, and says what each found. */
export function explainRoute<T>(table: RouteTable<T>, request: RequestView): Explanation {
  const located = table.locate(request.authority);
  if (located === undefined) {
    const outcome = `no virtual host has a domain for ${request.authority}; the request is answered with 404`;
    return { routeConfiguration: table.name, routes: [], outcome };
  }
  const virtualHost = { name: located.host.virtualHost.name, domain: located.domain };
  const routes: ExplainedRoute[] = [];
  let chosen: ExplainedRoute | undefined;
  for (const compiled of located.host.routes) {
    if (chosen !== undefined) {
      routes.push(describe(compiled.route, "never-reached", "never reached: an earlier route matched"));
      continue;
    }
    const failure = compiled.failure(request);
    if (failure === undefined) chosen = describe(compiled.route, "chosen", "everything it asks for holds");
    routes.push(chosen ?? describe(compiled.route, "lost", failure!));
  }
  const rest = { routeConfiguration: table.name, virtualHost, routes };
  if (chosen !== undefined) return { ...rest, chosen, outcome: outcomeOf(chosen) };
  const outcome = `no route of virtual host ${virtualHost.name} matches; the request is answered with 404`;
  return { ...rest, outcome };
}

function describe(route: Route, verdict: ExplainedRoute["verdict"], why: string): ExplainedRoute {
  const described = {
    name: route.name,
    verdict,
    why,
    action: route.action.kind,
    destinations: destinationsOf(route),
  };
  return route.source === undefined ? described : { ...described, source: route.source };
}

function destinationsOf(route: Route): readonly ExplainedDestination[] {
  if (route.action.kind !== "forward") return [];
  const destinations = route.action.destinations;
  const total = destinations.reduce((sum, { weight }) => sum + weight, 0);
  return destinations.map(({ destination, weight }) => ({
    cluster: destination,
    weight,
    share: destinations.length === 1 ? 1 : weight / total,
  }));
}

function outcomeOf(chosen: ExplainedRoute): string {
  if (chosen.action === "redirect") return `route ${chosen.name} redirects`;
  if (chosen.action === "direct-response") return `route ${chosen.name} answers directly`;
  const shares = chosen.destinations.map(
    ({ cluster, share }) => `${cluster} (${Math.round(share * 1000) / 10} %)`,
  );
  return `route ${chosen.name} forwards to ${shares.join(", ")}`;
}
