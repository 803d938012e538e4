import { closestName } from "../../common/base/closest.ts";
import type { Labels } from "../../common/model/endpoint.ts";
import type { RateLimitRule } from "../../common/model/rate-limit.ts";
import type { CompiledRateLimit } from "../resources/rate-limit/compiled.ts";
import type { Resource } from "../resources/resource.ts";
import { hasLabels } from "./endpoints.ts";
import type { ResourceProblem } from "./problems.ts";
import { keyOf, positionOf } from "./problems.ts";
import type { Snapshot } from "./snapshot.ts";

type RateLimitResource = Resource<CompiledRateLimit>;

/** Limits for the rules of one VirtualService; without `rule` for all of them. The same object as long as its resource stays. */
export interface RouteLimit {
  readonly rule?: string;
  readonly rules: readonly RateLimitRule[];
}

/** Rate limits by their targets, oldest first. Lists hold the same objects as long as the resources stay. */
export interface RateLimitIndex {
  /** By namespace: those for requests that come to sidecars. */
  readonly inbound: ReadonlyMap<string, readonly CompiledRateLimit[]>;
  /** By `namespace/name`. */
  readonly gateways: ReadonlyMap<string, readonly RateLimitRule[]>;
  /** By the `namespace/name` of a VirtualService. */
  readonly routes: ReadonlyMap<string, readonly RouteLimit[]>;
}

const routeLimits = new WeakMap<CompiledRateLimit, RouteLimit>();

/** `resources` are oldest first. */
export function indexRateLimits(resources: readonly RateLimitResource[]): RateLimitIndex {
  const inbound = new Map<string, CompiledRateLimit[]>();
  const gateways = new Map<string, RateLimitRule[]>();
  const routes = new Map<string, RouteLimit[]>();
  for (const { namespace, compiled } of resources) {
    const { target, rules } = compiled;
    if (target.kind === "gateway") listOf(gateways, `${namespace}/${target.name}`).push(...rules);
    else if (target.kind === "route")
      listOf(routes, `${namespace}/${target.virtualService}`).push(routeLimit(compiled, target.rule));
    else listOf(inbound, namespace).push(compiled);
  }
  return { inbound, gateways, routes };
}

/** The rules for requests that come to a sidecar; `service` is the host behind it, when there is one. */
export function inboundLimits(
  index: RateLimitIndex,
  { namespace, labels }: { readonly namespace: string; readonly labels: Labels },
  service: string | undefined,
): readonly RateLimitRule[] {
  return (index.inbound.get(namespace) ?? []).flatMap(({ target, rules }) => {
    const isMeant =
      (target.kind === "workloads" && hasLabels(labels, target.labels)) ||
      (target.kind === "service" && target.host === service);
    return isMeant ? rules : [];
  });
}

/** Limits that are live and count nothing. */
export function rateLimitProblems(
  resources: readonly RateLimitResource[],
  { services, gateways, virtualServices }: Pick<Snapshot, "services" | "gateways" | "virtualServices">,
): ResourceProblem[] {
  return resources.flatMap((resource) => {
    const { namespace, compiled } = resource;
    const { target } = compiled;
    // Proxies come and go; that none has the labels now says nothing.
    if (target.kind === "workloads") return [];
    if (target.kind === "service") {
      const own = [...services.byKey.values()].filter((service) => service.namespace === namespace);
      const hosts = own.map(({ hostname }) => hostname);
      return missing(resource, "service.host", `service ${target.host}`, target.host, hosts);
    }
    if (target.kind === "gateway") {
      const names = gateways.filter(({ key }) => key.namespace === namespace).map(({ key }) => key.name);
      return missing(resource, "gateway.name", `Gateway ${target.name}`, target.name, names);
    }
    const { virtualService, rule } = target;
    const own = virtualServices.all.filter(({ key }) => key.namespace === namespace);
    const names = own.map(({ key }) => key.name);
    const what = `VirtualService ${virtualService} with hosts`;
    const lost = missing(resource, "route.virtualService", what, virtualService, names);
    if (lost.length > 0 || rule === undefined) return lost;
    const rules = own.find(({ key }) => key.name === virtualService)!.rules.map(({ name }) => name);
    return missing(resource, "route.rule", `rule ${rule} in VirtualService ${virtualService}`, rule, rules);
  });
}

function missing(
  resource: RateLimitResource,
  path: string,
  what: string,
  name: string,
  known: readonly string[],
): ResourceProblem[] {
  if (known.includes(name)) return [];
  const guess = closestName(name, known);
  return [
    {
      resource: keyOf(resource),
      path: `spec.target.${path}`,
      why: `namespace ${resource.namespace} has no ${what}, so it limits nothing`,
      hint: guess === undefined ? "a limit lies in the namespace of its target" : `did you mean ${guess}?`,
      severity: "warning",
      ...positionOf(resource.source),
    },
  ];
}

function routeLimit(compiled: CompiledRateLimit, rule: string | undefined): RouteLimit {
  const known = routeLimits.get(compiled) ?? {
    ...(rule === undefined ? {} : { rule }),
    rules: compiled.rules,
  };
  routeLimits.set(compiled, known);
  return known;
}

function listOf<T>(map: Map<string, T[]>, key: string): T[] {
  const list = map.get(key) ?? [];
  map.set(key, list);
  return list;
}
