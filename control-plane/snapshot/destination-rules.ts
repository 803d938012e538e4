import type { CompiledDestinationRule } from "../resources/destination-rule/compiled.ts";
import type { Resource } from "../resources/resource.ts";
import { bySpecificity, covers, isVisible } from "./hosts.ts";
import type { MeshDestinationRule, MeshService, MeshSubset } from "./mesh.ts";
import type { ResourceProblem } from "./problems.ts";
import { keyOf, positionOf } from "./problems.ts";
import { keepList, keepMap, reuse } from "./reuse.ts";

export interface DestinationRuleIndex {
  readonly byNamespace: ReadonlyMap<string, NamespaceRules>;
}

export interface NamespaceRules {
  readonly byHost: ReadonlyMap<string, MeshDestinationRule>;
  /** Wildcard hosts, most specific first. */
  readonly wildcards: readonly MeshDestinationRule[];
}

type RuleResource = Resource<CompiledDestinationRule>;

/**
 * Merges the DestinationRules of one namespace that name the same host. `rules` are oldest first: the oldest one's
 * policy and exportTo count (the policy of the first one that has any), and of two subsets with one name the older.
 */
export function buildDestinationRules(
  rules: readonly RuleResource[],
  previous?: DestinationRuleIndex,
): DestinationRuleIndex {
  const byNamespace = new Map<string, NamespaceRules>();
  for (const [namespace, own] of Map.groupBy(rules, (rule) => rule.namespace)) {
    const before = previous?.byNamespace.get(namespace);
    const merged = [...Map.groupBy(own, (rule) => rule.compiled.host)].map(([host, same]) => {
      const old = before?.byHost.get(host) ?? before?.wildcards.find((rule) => rule.host === host);
      return reuse(old, same, () => merge(namespace, host, same));
    });
    const rules = {
      byHost: new Map(merged.filter(({ host }) => !host.startsWith("*")).map((rule) => [rule.host, rule])),
      wildcards: merged
        .filter(({ host }) => host.startsWith("*"))
        .sort((a, b) => bySpecificity(a.host, b.host)),
    };
    const isSame =
      before !== undefined &&
      keepMap(before.byHost, rules.byHost) === before.byHost &&
      keepList(before.wildcards, rules.wildcards) === before.wildcards;
    byNamespace.set(namespace, isSame ? before : rules);
  }
  return previous !== undefined && keepMap(previous.byNamespace, byNamespace) === previous.byNamespace
    ? previous
    : { byNamespace };
}

/**
 * The rule that shapes how a proxy in `namespace` calls `service`, as Istio looks it up: the calling namespace's own,
 * else what the service's namespace exports to it, else what the root namespace does; in each the most specific host.
 */
export function destinationRuleFor(
  rules: DestinationRuleIndex,
  service: Pick<MeshService, "hostname" | "namespace">,
  namespace: string,
  rootNamespace: string,
): MeshDestinationRule | undefined {
  const exported = (rule: MeshDestinationRule) => isVisible(rule.exportTo, rule.namespace, namespace);
  return (
    mostSpecific(rules.byNamespace.get(namespace), service.hostname, () => true) ??
    mostSpecific(rules.byNamespace.get(service.namespace), service.hostname, exported) ??
    mostSpecific(rules.byNamespace.get(rootNamespace), service.hostname, exported)
  );
}

/** Warns where two DestinationRules of one namespace and host define the same subset, or both a policy. */
export function destinationRuleProblems(rules: readonly RuleResource[]): ResourceProblem[] {
  const problems: ResourceProblem[] = [];
  for (const same of Map.groupBy(
    rules,
    ({ namespace, compiled }) => `${namespace}/${compiled.host}`,
  ).values()) {
    const firstWith = new Map<string, RuleResource>();
    for (const rule of same) {
      for (const [index, subset] of rule.compiled.subsets.entries()) {
        const older = firstWith.get(subset.name);
        if (older === undefined) {
          firstWith.set(subset.name, rule);
          continue;
        }
        const about = (self: RuleResource, other: RuleResource, verdict: string): ResourceProblem => ({
          resource: keyOf(self),
          path: self === rule ? `spec.subsets[${index}]` : "spec.subsets",
          why: `subset ${JSON.stringify(subset.name)} of ${rule.compiled.host} is also defined by DestinationRule ${other.namespace}/${other.name}; ${verdict}`,
          hint: "rename or remove one of the two",
          severity: "warning",
          ...positionOf(self.source),
        });
        problems.push(
          about(rule, older, "that one is older and wins"),
          about(older, rule, "this one is older and wins"),
        );
      }
    }
  }
  return problems;
}

function mostSpecific(
  rules: NamespaceRules | undefined,
  host: string,
  allowed: (rule: MeshDestinationRule) => boolean,
): MeshDestinationRule | undefined {
  if (rules === undefined) return undefined;
  const exact = rules.byHost.get(host);
  if (exact !== undefined && allowed(exact)) return exact;
  return rules.wildcards.find((rule) => covers(rule.host, host) && allowed(rule));
}

function merge(namespace: string, host: string, same: readonly RuleResource[]): MeshDestinationRule {
  const subsets = new Map<string, MeshSubset>();
  for (const { compiled, source } of same) {
    for (const subset of compiled.subsets) {
      if (!subsets.has(subset.name)) subsets.set(subset.name, { ...subset, source });
    }
  }
  const oldest = same[0]!;
  return {
    namespace,
    host,
    exportTo: oldest.compiled.exportTo,
    policy: same.find(({ compiled }) => Object.keys(compiled.policy).length > 0)?.compiled.policy ?? {},
    subsets: [...subsets.values()],
    source: oldest.source,
  };
}
