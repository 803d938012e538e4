import { closestName } from "../../common/base/closest.ts";
import type { CompiledDestinationRule } from "../resources/destination-rule/compiled.ts";
import type { Resource } from "../resources/resource.ts";
import { formatKey } from "../resources/resource.ts";
import type { CompiledVirtualService } from "../resources/virtual-service/compiled.ts";
import { lookUpDelegate } from "./delegates.ts";
import { covers, isVisible } from "./hosts.ts";
import type { LiveSet } from "./live-set.ts";
import { liveSet } from "./live-set.ts";
import { byKey } from "./order.ts";
import type { Held, ResourceProblem } from "./problems.ts";
import { keyOf, positionOf } from "./problems.ts";
import type { Reference } from "./references.ts";
import { referencesOf } from "./references.ts";
import { finderOf } from "./virtual-services.ts";

type VirtualServiceResource = Resource<CompiledVirtualService>;
type DestinationRuleResource = Resource<CompiledDestinationRule>;

export interface Settled {
  readonly live: LiveSet;
  /** By kind, namespace and name. */
  readonly held: readonly Held[];
}

/**
 * Chooses which version of each resource is live, so that no VirtualService names a subset, port or delegate that isn't
 * there. Who would break the reference waits: a changed VirtualService that names what is missing, or the change (or
 * removal) of a DestinationRule or delegate that a live VirtualService still names. Each waits in the version that
 * `previous` had, for itself alone, and goes live by itself as soon as nothing dangles; so the order in which a
 * VirtualService and its DestinationRule arrive doesn't matter.
 *
 * ServiceEntries and WorkloadEntries never wait: an endpoint that left must not be called. Nor do routes to hosts that
 * nobody serves: as in Istio they are kept and answer 503 (flag NC), because configs that name hosts outside the mesh exist.
 */
export function settle(
  desired: ReadonlyMap<string, Resource>,
  previous: ReadonlyMap<string, Resource>,
): Settled {
  const current = new Map(desired);
  const held = new Map<string, ResourceProblem[]>();
  // Every pass moves at least one resource from its desired to its previous version, never back, so this ends.
  for (;;) {
    const live = liveSet(current);
    const dangling = findDangling(live);
    const moved = dangling.filter(({ resource, problem, providers }) => {
      const wasLive = previous.get(formatKey(resource))?.version === resource.version;
      const removed = wasLive
        ? providers(previous).filter((key) => current.get(key) !== previous.get(key))
        : [];
      for (const key of removed) {
        current.set(key, previous.get(key)!);
        hold(held, key, stillNamed(previous.get(key)!, resource, problem));
      }
      if (wasLive) return removed.length > 0;
      const key = formatKey(resource);
      const before = previous.get(key);
      if (before === undefined || before === current.get(key)) current.delete(key);
      else current.set(key, before);
      hold(held, key, problem);
      return true;
    });
    if (moved.length > 0) continue;
    // What is left was live and lost its target for good (a port that its service gave up): it stays and is reported.
    return {
      live,
      held: [...held]
        .map(([key, problems]) => heldOf(desired.get(key), current.get(key), problems))
        .sort((a, b) => byKey(a.key, b.key)),
    };
  }
}

/** References of live VirtualServices that point to nothing although they once did. */
export function lostReferences(live: LiveSet): ResourceProblem[] {
  return findDangling(live).map(({ problem }) => problem);
}

interface Dangling {
  readonly resource: VirtualServiceResource;
  readonly problem: ResourceProblem;
  /** Keys of the resources that provided the missing thing in an earlier set; only those that may wait. */
  readonly providers: (earlier: ReadonlyMap<string, Resource>) => readonly string[];
}

function findDangling(live: LiveSet): Dangling[] {
  const find = finderOf(live.virtualServices);
  let known: ReadonlyMap<string, ReadonlySet<number>> | undefined;
  // Few rules name a port, and going through all services takes longer than all else here.
  const portsOf = (host: string) => {
    known ??= portsByHost(live);
    return known.get(host);
  };
  const rulesFor = rulesByHost(live);
  return live.virtualServices.flatMap((resource) => [
    ...resource.compiled.http.flatMap((rule, index) => {
      const found = rule.delegate && lookUpDelegate(resource, rule.delegate, find);
      if (found === undefined || found.ok) return [];
      const key = formatKey({ kind: "VirtualService", ...rule.delegate! });
      const problem: ResourceProblem = {
        resource: keyOf(resource),
        path: `spec.http[${index}].delegate`,
        why: found.why,
        hint: found.hint,
        ...positionOf(rule.source),
      };
      return [
        {
          resource,
          problem,
          providers: (earlier: ReadonlyMap<string, Resource>) => (earlier.has(key) ? [key] : []),
        },
      ];
    }),
    ...referencesOf(resource).flatMap((reference) => [
      ...missingSubset(resource, reference, rulesFor),
      ...missingPort(resource, reference, portsOf),
    ]),
  ]);
}

function missingSubset(
  resource: VirtualServiceResource,
  reference: Reference,
  rulesFor: RulesFor,
): Dangling[] {
  const { host, subset } = reference;
  if (subset === undefined) return [];
  const defined = rulesFor(host)
    .filter((rule) => concerns(rule, host, resource.namespace))
    .flatMap((rule) => rule.compiled.subsets.map(({ name }) => name));
  if (defined.includes(subset)) return [];
  const guess = closestName(subset, defined);
  const hint =
    defined.length === 0
      ? `apply a DestinationRule for ${host} that defines it`
      : `${guess === undefined ? "" : `did you mean ${JSON.stringify(guess)}? `}defined are ${[...new Set(defined)].join(", ")}`;
  const problem: ResourceProblem = {
    resource: keyOf(resource),
    path: `${reference.path}.subset`,
    why: `no DestinationRule defines subset ${JSON.stringify(subset)} of ${host}`,
    hint,
    ...positionOf(reference.source),
  };
  const providers = (earlier: ReadonlyMap<string, Resource>): string[] =>
    [...earlier]
      .filter(([, candidate]) => candidate.kind === "DestinationRule")
      .filter(([, candidate]) => {
        const rule = candidate as DestinationRuleResource;
        return (
          concerns(rule, host, resource.namespace) &&
          rule.compiled.subsets.some(({ name }) => name === subset)
        );
      })
      .map(([key]) => key);
  return [{ resource, problem, providers }];
}

type RulesFor = (host: string) => readonly DestinationRuleResource[];

function rulesByHost(live: LiveSet): RulesFor {
  const byHost = Map.groupBy(live.destinationRules, ({ compiled }) => compiled.host);
  const wildcards = live.destinationRules.filter(({ compiled }) => compiled.host.startsWith("*"));
  return (host) => [...(byHost.get(host) ?? []), ...wildcards];
}

function missingPort(
  resource: VirtualServiceResource,
  reference: Reference,
  portsOf: (host: string) => ReadonlySet<number> | undefined,
): Dangling[] {
  const ports = reference.port === undefined ? undefined : portsOf(reference.host);
  if (ports === undefined || reference.port === undefined || ports.has(reference.port)) return [];
  const problem: ResourceProblem = {
    resource: keyOf(resource),
    path: `${reference.path}.port.number`,
    why: `${reference.host} has no port ${reference.port}`,
    hint: `its ports are ${[...ports].join(", ")}`,
    ...positionOf(reference.source),
  };
  return [{ resource, problem, providers: () => [] }];
}

/** Whether the rule may shape how the VirtualService's namespace calls the host. */
function concerns(rule: DestinationRuleResource, host: string, namespace: string): boolean {
  return covers(rule.compiled.host, host) && isVisible(rule.compiled.exportTo, rule.namespace, namespace);
}

function portsByHost(live: LiveSet): ReadonlyMap<string, ReadonlySet<number>> {
  const ports = new Map<string, Set<number>>();
  for (const { hostname, ports: own } of live.serviceEntries.flatMap(({ compiled }) => compiled.services)) {
    const known = ports.get(hostname) ?? new Set();
    for (const { number } of own) known.add(number);
    ports.set(hostname, known);
  }
  return ports;
}

function stillNamed(
  target: Resource,
  user: VirtualServiceResource,
  problem: ResourceProblem,
): ResourceProblem {
  return {
    resource: keyOf(target),
    path: "",
    why: `${formatKey(user)} still needs what this change takes away: ${problem.why}`,
    hint: `change ${formatKey(user)} (${problem.path}${problem.at ? `, ${problem.at.file}:${problem.at.line}` : ""}) first, or together with this`,
    ...positionOf(target.source),
  };
}

function hold(held: Map<string, ResourceProblem[]>, key: string, problem: ResourceProblem): void {
  const problems = held.get(key);
  if (problems === undefined) held.set(key, [problem]);
  else if (!problems.some(({ path, why }) => path === problem.path && why === problem.why))
    problems.push(problem);
}

function heldOf(
  desired: Resource | undefined,
  live: Resource | undefined,
  problems: ResourceProblem[],
): Held {
  return {
    key: keyOf((desired ?? live)!),
    ...(desired && { desired }),
    ...(live && { live }),
    problems,
  };
}
