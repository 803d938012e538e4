import type { CircuitBreakerPolicy } from "../../common/model/circuit-breaker.ts";
import { clusterName } from "../../common/model/cluster.ts";
import type { ForwardAction, Route, RouteAction } from "../../common/model/route.ts";
import { noHeaderOperations } from "../../common/model/route.ts";
import type { ServicePort, ServiceReference } from "../../common/model/service.ts";
import { breakerOf } from "../snapshot/circuit-breakers.ts";
import { hasLabels } from "../snapshot/endpoints.ts";
import { joinFaults } from "../snapshot/faults.ts";
import type { MeshRule, MeshService, MeshVirtualService } from "../snapshot/snapshot.ts";
import type { FindHashing } from "./hash-policies.ts";
import { hashPolicyOf, joinHashPolicies } from "./hash-policies.ts";
import type { SkippedRule } from "./proxy-resources.ts";
import type { Place } from "./rule-scope.ts";
import { scopeFailure } from "./rule-scope.ts";

/** Finds the service that a host names for the proxy in hand. */
export type FindService = (hostname: string) => MeshService | undefined;

export interface TranslatedRoutes {
  readonly routes: readonly Route[];
  readonly skipped: readonly SkippedRule[];
}

/** The rules of several VirtualServices, one after the other, as routes: one per match that holds at this place. */
export function translateRules(
  virtuals: readonly MeshVirtualService[],
  virtualHost: string,
  place: Place,
  find: FindService,
  hashing: FindHashing,
): TranslatedRoutes {
  const routes: Route[] = [];
  const skipped: SkippedRule[] = [];
  const placed = virtuals.flatMap(({ rules, hosts }) => rules.map((rule) => ({ rule, hosts })));
  for (const { rule, hosts } of placed) {
    const rateLimits = [...(rule.rateLimits ?? []), ...(place.rateLimits ?? [])];
    const fault = faultAt(rule, place);
    const action = translateAction(rule.route.action, rule.breaker, place.port, find, hashing);
    for (const { name, match, scope, source } of rule.matches) {
      const why = scopeFailure(scope, place);
      if (why !== undefined) {
        skipped.push({ name: rule.name, source, virtualHost, hosts, why });
        continue;
      }
      const named = [rule.name, name].filter((part) => part !== "").join(".");
      // The rule's line, not the match's: that is what its author calls "this route".
      routes.push({
        ...rule.route,
        name: named || "default",
        source: rule.source,
        match,
        action,
        ...(fault && { fault }),
        ...(rateLimits.length > 0 && { rateLimits }),
      });
    }
  }
  return { routes, skipped };
}

/** The route of a service that no VirtualService speaks of. */
export function defaultRoute(
  service: MeshService,
  port: number,
  find: FindService,
  hashing: FindHashing,
): Route {
  const breaker = breakerOf(service, undefined, port);
  return {
    name: "default",
    source: service.source,
    match: { path: { kind: "any" }, headers: [], queryParams: [] },
    action: {
      ...forwardTo(
        clusterName("outbound", port, "", service.hostname),
        breaker && translateBreaker(breaker, find),
      ),
      ...joinHashPolicies([hashPolicyOf(hashing(service), undefined, port)]),
    },
    requestHeaders: noHeaderOperations,
    responseHeaders: noHeaderOperations,
  };
}

/** Sends everything to one cluster, retrying only what certainly did not reach it. */
export function forwardTo(cluster: string, breaker?: CircuitBreakerPolicy): ForwardAction {
  const operations = {
    requestHeaders: noHeaderOperations,
    responseHeaders: noHeaderOperations,
    ...(breaker && { breaker }),
  };
  return {
    kind: "forward",
    destinations: [{ destination: cluster, weight: 1, ...operations }],
    mirrors: [],
    retry: {
      attempts: 2,
      on: ["connect-failure", "refused-stream", "unavailable", "cancelled"],
      statusCodes: [],
      baseIntervalMs: 25,
      maxIntervalMs: 250,
    },
  };
}

/** Every cluster that a route may send to, its mirrors' and fallbacks' included. */
export function clustersOf({ action }: Route): string[] {
  if (action.kind !== "forward") return [];
  const fallbacks = action.destinations.flatMap(({ breaker }) =>
    breaker?.fallback?.kind === "destination" ? [breaker.fallback.destination] : [],
  );
  return [...action.destinations, ...action.mirrors].map(({ destination }) => destination).concat(fallbacks);
}

/** Only HTTP ports get routes; the protocol is the one that the port says (Istio's explicit protocol selection). */
export function isHttp({ protocol }: Pick<ServicePort, "protocol">): boolean {
  return protocol === "http" || protocol === "http2" || protocol === "grpc" || protocol === "grpc-web";
}

/** The faults of a rule as this proxy injects them; those for other callers are left out. */
function faultAt({ route, faults = [] }: MeshRule, { node }: Place): Route["fault"] {
  const own = faults.filter(
    ({ callers }) =>
      callers === undefined ||
      callers.some(
        ({ namespace, labels }) =>
          (namespace === undefined || namespace === node.namespace) && hasLabels(node.labels, labels ?? {}),
      ),
  );
  return joinFaults(route.fault, own);
}

function translateAction(
  action: RouteAction<ServiceReference>,
  own: CircuitBreakerPolicy<ServiceReference> | undefined,
  port: number | undefined,
  find: FindService,
  hashing: FindHashing,
): RouteAction {
  if (action.kind !== "forward") return action;
  const nameOf = (reference: ServiceReference) => referenceName(reference, port, find);
  return {
    ...action,
    destinations: action.destinations.map(({ breaker: _, ...entry }) => {
      const { host, subset } = entry.destination;
      const chosen = portOf(entry.destination, port, find);
      const breaker = own ?? breakerOf(find(host), subset, chosen);
      return {
        ...entry,
        destination: nameOf(entry.destination),
        ...(breaker && { breaker: translateBreaker(breaker, find) }),
      };
    }),
    mirrors: action.mirrors.map((entry) => ({ ...entry, destination: nameOf(entry.destination) })),
    ...joinHashPolicies(
      action.destinations.map(({ destination }) =>
        hashPolicyOf(hashing(find(destination.host)), destination.subset, portOf(destination, port, find)),
      ),
    ),
  };
}

/**
 * A destination without a port means the service's only one, else the port that the request came to (Istio), else 80,
 * else the service's first HTTP port.
 */
export function portOf(
  { host, port }: ServiceReference,
  requestPort: number | undefined,
  find: FindService,
): number {
  const ports = port === undefined ? (find(host)?.ports ?? []) : [];
  const chosen =
    (ports.length === 1 ? ports[0] : undefined) ??
    ports.find(({ number }) => number === requestPort) ??
    ports.find(({ number }) => number === 80) ??
    ports.find(isHttp);
  return port ?? chosen?.number ?? requestPort ?? 80;
}

/** The cluster that a reference names for a request that came to `requestPort`. */
export function referenceName(
  reference: ServiceReference,
  requestPort: number | undefined,
  find: FindService,
): string {
  const { host, subset = "" } = reference;
  return clusterName("outbound", portOf(reference, requestPort, find), subset, host);
}

/** Whatever port the request came to: all routes to a cluster share its circuit, so they must say the same of it. */
function translateBreaker(
  { fallback, ...rest }: CircuitBreakerPolicy<ServiceReference>,
  find: FindService,
): CircuitBreakerPolicy {
  if (fallback?.kind !== "destination") return { ...rest, ...(fallback && { fallback }) };
  const destination = referenceName(fallback.destination, undefined, find);
  return { ...rest, fallback: { kind: "destination", destination } };
}
