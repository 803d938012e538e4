import { closestName } from "../../common/base/closest.ts";
import type { CircuitBreakerPolicy } from "../../common/model/circuit-breaker.ts";
import type { ServiceReference } from "../../common/model/service.ts";
import type { CompiledCircuitBreaker } from "../resources/circuit-breaker/compiled.ts";
import type { Resource } from "../resources/resource.ts";
import type { MeshService, ServiceBreaker } from "./mesh.ts";
import type { ResourceProblem } from "./problems.ts";
import { keyOf, positionOf } from "./problems.ts";
import type { Snapshot } from "./snapshot.ts";

type BreakerResource = Resource<CompiledCircuitBreaker>;
type Policy = CircuitBreakerPolicy<ServiceReference>;

/** A circuit breaker for the rules of one VirtualService; without `rule` it holds for all of them. */
export interface RouteBreaker {
  readonly rule?: string;
  readonly policy: Policy;
}

/** Circuit breakers by their targets, oldest first. What is returned are the same objects as long as a resource stays. */
export interface BreakerIndex {
  /** `namespace/hostname` */
  forService(key: string): readonly ServiceBreaker[];
  /** `namespace/name` */
  forVirtualService(name: string): readonly RouteBreaker[];
}

const none: readonly never[] = [];
const joined = new WeakMap<CompiledCircuitBreaker, ServiceBreaker | RouteBreaker>();

/** `resources` are oldest first. */
export function indexBreakers(resources: readonly BreakerResource[]): BreakerIndex {
  const services = new Map<string, ServiceBreaker[]>();
  const routes = new Map<string, RouteBreaker[]>();
  for (const { namespace, compiled } of resources) {
    const { target } = compiled;
    if (target.kind === "service") add(services, `${namespace}/${target.host}`, once(compiled));
    else add(routes, `${namespace}/${target.virtualService}`, once(compiled));
  }
  return {
    forService: (key) => services.get(key) ?? none,
    forVirtualService: (name) => routes.get(name) ?? none,
  };
}

/** The breaker of a service's callers for one subset and port: the one that says most, of equals the oldest. */
export function breakerOf(
  service: MeshService | undefined,
  subset: string | undefined,
  port: number,
): Policy | undefined {
  let best: ServiceBreaker | undefined;
  let bestScore = -1;
  for (const breaker of service?.breakers ?? none) {
    if (breaker.subset !== undefined && breaker.subset !== subset) continue;
    if (breaker.port !== undefined && breaker.port !== port) continue;
    const score = (breaker.subset === undefined ? 0 : 2) + (breaker.port === undefined ? 0 : 1);
    if (score <= bestScore) continue;
    best = breaker;
    bestScore = score;
  }
  return best?.policy;
}

/** Breakers that are live and hold for nothing, for less than they say, or twice. */
export function circuitBreakerProblems(
  resources: readonly BreakerResource[],
  mesh: Pick<Snapshot, "services" | "virtualServices" | "destinationRules">,
): ResourceProblem[] {
  const seen = new Map<string, BreakerResource>();
  return resources.flatMap((resource) => {
    const problems = [...missingTarget(resource, mesh), ...missingFallback(resource, mesh)];
    const target = JSON.stringify([resource.namespace, resource.compiled.target]);
    const older = seen.get(target);
    if (older === undefined) seen.set(target, resource);
    else {
      const why = `CircuitBreaker ${older.namespace}/${older.name} has the same target, is older and decides`;
      problems.push(problemOf(resource, "spec.target", why, "remove one of them"));
    }
    return problems;
  });
}

function missingTarget(
  resource: BreakerResource,
  { services, virtualServices }: Pick<Snapshot, "services" | "virtualServices">,
): ResourceProblem[] {
  const { namespace, compiled } = resource;
  const { target } = compiled;
  if (target.kind === "service") {
    const service = services.byKey.get(`${namespace}/${target.host}`);
    if (service === undefined) {
      const own = [...services.byKey.values()].filter((other) => other.namespace === namespace);
      const guess = closestName(
        target.host,
        own.map(({ hostname }) => hostname),
      );
      const hint =
        guess === undefined
          ? "a breaker lies in the namespace of the service whose callers it protects"
          : `did you mean ${guess}?`;
      const why = `namespace ${namespace} has no service ${target.host}, so it breaks nothing`;
      return [problemOf(resource, "spec.target.service.host", why, hint)];
    }
    const ports = service.ports.map(({ number }) => number);
    if (target.port === undefined || ports.includes(target.port)) return [];
    const why = `${target.host} has no port ${target.port}, so it breaks nothing`;
    return [problemOf(resource, "spec.target.service.port", why, `its ports are ${ports.join(", ")}`)];
  }
  const found = virtualServices.all.find(
    ({ key }) => key.namespace === namespace && key.name === target.virtualService,
  );
  if (found === undefined) {
    const own = virtualServices.all.filter(({ key }) => key.namespace === namespace);
    const guess = closestName(
      target.virtualService,
      own.map(({ key }) => key.name),
    );
    const why = `namespace ${namespace} has no VirtualService ${target.virtualService} with hosts, so it breaks nothing`;
    const hint = guess === undefined ? "apply it in the same namespace" : `did you mean ${guess}?`;
    return [problemOf(resource, "spec.target.route.virtualService", why, hint)];
  }
  const names = found.rules.map(({ name }) => name).filter((name) => name !== "");
  if (target.rule === undefined || names.includes(target.rule)) return [];
  const why = `VirtualService ${target.virtualService} has no http rule named ${JSON.stringify(target.rule)}, so it breaks nothing`;
  const hint = names.length === 0 ? "give the rule that name" : `its rules are ${names.join(", ")}`;
  return [problemOf(resource, "spec.target.route.rule", why, hint)];
}

function missingFallback(
  resource: BreakerResource,
  { services }: Pick<Snapshot, "services">,
): ResourceProblem[] {
  const { fallback } = resource.compiled.policy;
  if (fallback?.kind !== "destination" || services.byHostname.has(fallback.destination.host)) return [];
  const { host } = fallback.destination;
  const guess = closestName(host, services.byHostname.keys());
  const why = `nobody serves ${host}; requests that fall back to it get 503 (flag NC)`;
  const hint = guess === undefined ? "add a ServiceEntry for it" : `did you mean ${guess}?`;
  return [problemOf(resource, "spec.fallback.destination.host", why, hint)];
}

function problemOf(resource: BreakerResource, path: string, why: string, hint: string): ResourceProblem {
  return { resource: keyOf(resource), path, why, hint, severity: "warning", ...positionOf(resource.source) };
}

function once<B extends ServiceBreaker | RouteBreaker>(compiled: CompiledCircuitBreaker): B {
  let known = joined.get(compiled);
  if (known === undefined) {
    const { target, policy } = compiled;
    if (target.kind === "service") {
      const { subset, port } = target;
      known = {
        ...(subset === undefined ? {} : { subset }),
        ...(port === undefined ? {} : { port }),
        policy,
      };
    } else known = { ...(target.rule === undefined ? {} : { rule: target.rule }), policy };
    joined.set(compiled, known);
  }
  // The target's kind says which of the two it is, and the caller has looked at it.
  return known as B;
}

function add<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
