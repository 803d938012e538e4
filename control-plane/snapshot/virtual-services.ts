import type { Resource } from "../resources/resource.ts";
import type { CompiledVirtualService } from "../resources/virtual-service/compiled.ts";
import type { BreakerIndex, RouteBreaker } from "./circuit-breakers.ts";
import type { FindVirtualService } from "./delegates.ts";
import { expandDelegate, lookUpDelegate } from "./delegates.ts";
import type { FaultIndex, RouteFault } from "./faults.ts";
import { bySpecificity, covers } from "./hosts.ts";
import type { MeshRule, MeshVirtualService } from "./mesh.ts";
import type { ResourceProblem } from "./problems.ts";
import { keyOf, positionOf } from "./problems.ts";
import type { RateLimitIndex, RouteLimit } from "./rate-limits.ts";
import { keepList, reuse } from "./reuse.ts";

export interface VirtualServiceIndex {
  /** Those with hosts, oldest first. */
  readonly all: readonly MeshVirtualService[];
  /** By host, oldest first. */
  readonly byHost: ReadonlyMap<string, readonly MeshVirtualService[]>;
  /** The hosts with a wildcard, most specific first. */
  readonly wildcards: readonly string[];
  /** Every label key that some rule's sourceLabels names: proxies that agree on these get the same routes. */
  readonly sourceLabelKeys: readonly string[];
}

type VirtualServiceResource = Resource<CompiledVirtualService>;

/** Puts delegates' rules into the places that name them. `resources` are oldest first; their delegates all resolve. */
export function buildVirtualServices(
  resources: readonly VirtualServiceResource[],
  policies: {
    readonly breakers: BreakerIndex;
    readonly rateLimits: RateLimitIndex;
    readonly faults: FaultIndex;
  },
  previous?: VirtualServiceIndex,
): VirtualServiceIndex {
  const before = new Map(previous?.all.map((virtual) => [nameOf(virtual.key), virtual]));
  const find = finderOf(resources);
  const all = resources
    .filter(({ compiled }) => compiled.hosts.length > 0)
    .map((root) => {
      const delegates = root.compiled.http.map(
        (rule) => rule.delegate && find(`${rule.delegate.namespace}/${rule.delegate.name}`)?.compiled,
      );
      const breakers = policies.breakers.forVirtualService(nameOf(root));
      const limits = policies.rateLimits.routes.get(nameOf(root)) ?? [];
      const faults = policies.faults.routes.get(nameOf(root)) ?? [];
      const inputs = [root.compiled, root.createdAt, ...delegates, ...breakers, ...limits, ...faults];
      return reuse(before.get(nameOf(root)), inputs, () => join(root, find, { breakers, limits, faults }));
    });
  if (previous !== undefined && keepList(previous.all, all) === previous.all) return previous;
  const byHost = new Map<string, MeshVirtualService[]>();
  for (const virtual of all) {
    for (const host of new Set(virtual.hosts)) {
      const same = byHost.get(host);
      if (same === undefined) byHost.set(host, [virtual]);
      else same.push(virtual);
    }
  }
  const scopes = all.flatMap(({ rules }) =>
    rules.flatMap(({ matches }) => matches.map(({ scope }) => scope)),
  );
  const callers = all.flatMap(({ rules }) =>
    rules.flatMap(({ faults = [] }) => faults.flatMap((fault) => fault.callers ?? [])),
  );
  return {
    all,
    byHost: new Map([...byHost].map(([host, same]) => [host, keepList(previous?.byHost.get(host), same)])),
    wildcards: [...byHost.keys()].filter((host) => host.startsWith("*")).sort(bySpecificity),
    sourceLabelKeys: [
      ...new Set([
        ...scopes.flatMap((scope) => Object.keys(scope.sourceLabels ?? {})),
        ...callers.flatMap(({ labels }) => Object.keys(labels ?? {})),
      ]),
    ].sort(),
  };
}

/** The VirtualServices of the most specific host that covers `host` and has any that `admits`; oldest first. */
export function virtualServicesFor(
  index: VirtualServiceIndex,
  host: string,
  admits: (virtual: MeshVirtualService) => boolean,
): readonly MeshVirtualService[] {
  const exact = index.byHost.get(host)?.filter(admits) ?? [];
  if (exact.length > 0) return exact;
  for (const pattern of index.wildcards) {
    if (pattern === host || !covers(pattern, host)) continue;
    const found = index.byHost.get(pattern)!.filter(admits);
    if (found.length > 0) return found;
  }
  return [];
}

/** Finds by `namespace/name`. */
export function finderOf(resources: readonly VirtualServiceResource[]): FindVirtualService {
  const byName = new Map(resources.map((resource) => [nameOf(resource), resource]));
  return (name) => byName.get(name);
}

/**
 * Warns both sides where several VirtualServices route one host at the same place: their rules are tried oldest first.
 * Istio uses the oldest alone in sidecars and leaves the order open in gateways.
 */
export function virtualServiceProblems(
  resources: readonly VirtualServiceResource[],
  index: VirtualServiceIndex,
): ResourceProblem[] {
  const resourceOf = finderOf(resources);
  const problems: ResourceProblem[] = [];
  for (const [host, same] of index.byHost) {
    for (const [position, self] of same.entries()) {
      const others = same.filter(
        (other) =>
          other !== self &&
          overlap(other, self) &&
          other.gateways.some((gateway) => self.gateways.includes(gateway)),
      );
      for (const other of others) {
        const isFirst = position < same.indexOf(other);
        problems.push({
          resource: self.key,
          path: `spec.hosts[${self.hosts.indexOf(host)}]`,
          why: `${host} is also routed by VirtualService ${nameOf(other.key)}, whose rules are tried ${isFirst ? "after" : "before"} these because it is ${isFirst ? "younger" : "older"}`,
          hint: "keep a host's rules in one VirtualService, or let one delegate to the other",
          severity: "warning",
          ...positionOf(resourceOf(nameOf(self.key))!.source),
        });
      }
    }
  }
  return problems;
}

/** Rules for requests, for TLS connections and for others don't meet. */
function overlap(one: MeshVirtualService, other: MeshVirtualService): boolean {
  const bothRoute = one.rules.length > 0 && other.rules.length > 0;
  return (["tls", "tcp"] as const).some((field) => one[field] && other[field]) || bothRoute;
}

/** Warns of delegate rules that no request can reach. */
export function delegateWarnings(resources: readonly VirtualServiceResource[]): ResourceProblem[] {
  const find = finderOf(resources);
  const problems: ResourceProblem[] = [];
  for (const root of resources) {
    root.compiled.http.forEach((rule, index) => {
      const found = rule.delegate && lookUpDelegate(root, rule.delegate, find);
      if (!found?.ok) return;
      expandDelegate(rule, found.delegate, (inner) => {
        problems.push({
          resource: keyOf(root),
          path: `spec.http[${index}].delegate`,
          why: `a match of VirtualService ${nameOf(found.delegate)}${inner.source.line ? ` (line ${inner.source.line})` : ""} can't be combined with this rule's match, so it takes no request from here`,
          hint: "the delegate's match must be narrower than the root's: a longer prefix, more headers; regexes can't be narrowed",
          severity: "warning",
          ...positionOf(rule.source),
        });
      });
    });
  }
  return problems;
}

/** What other kinds say of a VirtualService's rules; each oldest first. */
interface RulePolicies {
  readonly breakers: readonly RouteBreaker[];
  readonly limits: readonly RouteLimit[];
  readonly faults: readonly RouteFault[];
}

function join(
  root: VirtualServiceResource,
  find: FindVirtualService,
  { breakers, limits, faults }: RulePolicies,
): MeshVirtualService {
  const rules = root.compiled.http.flatMap((rule): MeshRule[] => {
    if (rule.delegate !== undefined) {
      const found = lookUpDelegate(root, rule.delegate, find);
      return found.ok ? expandDelegate(rule, found.delegate) : [];
    }
    if (rule.route === undefined) return [];
    return [{ name: rule.name, source: rule.source, matches: rule.matches, route: rule.route }];
  });
  const { hosts, gateways, exportTo, tls, tcp } = root.compiled;
  return {
    key: keyOf(root),
    createdAt: root.createdAt,
    hosts,
    gateways,
    exportTo,
    rules: rules.map((rule) => withFaults(withLimits(withBreaker(rule, breakers), limits), faults)),
    ...(tls && { tls }),
    ...(tcp && { tcp }),
  };
}

/** The oldest that names the rule, else the oldest for all rules. */
function withBreaker(rule: MeshRule, breakers: readonly RouteBreaker[]): MeshRule {
  const found =
    breakers.find((breaker) => breaker.rule !== undefined && breaker.rule === rule.name) ??
    breakers.find((breaker) => breaker.rule === undefined);
  return found === undefined ? rule : { ...rule, breaker: found.policy };
}

function withLimits(rule: MeshRule, limits: readonly RouteLimit[]): MeshRule {
  const rateLimits = limits.flatMap((limit) =>
    limit.rule === undefined || limit.rule === rule.name ? limit.rules : [],
  );
  return rateLimits.length === 0 ? rule : { ...rule, rateLimits };
}

function withFaults(rule: MeshRule, all: readonly RouteFault[]): MeshRule {
  const faults = all.filter((fault) => fault.rule === undefined || fault.rule === rule.name);
  return faults.length === 0 ? rule : { ...rule, faults };
}

function nameOf({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return `${namespace}/${name}`;
}
