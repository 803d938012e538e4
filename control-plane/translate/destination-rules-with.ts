import type { DestinationRuleIndex } from "../snapshot/destination-rules.ts";
import type { MeshDestinationRule, Snapshot, TrafficPolicy } from "../snapshot/snapshot.ts";

const found = new WeakMap<DestinationRuleIndex, Map<string, readonly MeshDestinationRule[]>>();
/** By lineage: the last list of a name, so that an equal one is the same. */
const last = new WeakMap<object, Map<string, readonly MeshDestinationRule[]>>();

/**
 * The rules of which any policy has something, by a name for that something. The same list from one snapshot to the next as long as
 * none of them changes: what depends on them alone need not look at the other rules.
 */
export function destinationRulesWith(
  { destinationRules, lineage }: Snapshot,
  name: string,
  has: (policy: TrafficPolicy) => boolean,
): readonly MeshDestinationRule[] {
  const lists = found.get(destinationRules) ?? new Map<string, readonly MeshDestinationRule[]>();
  found.set(destinationRules, lists);
  const known = lists.get(name);
  if (known !== undefined) return known;
  const rules = [...destinationRules.byNamespace.values()]
    .flatMap(({ byHost, wildcards }) => [...byHost.values(), ...wildcards])
    .filter((rule) => has(rule.policy) || rule.subsets.some(({ policy }) => has(policy)));
  const before = last.get(lineage) ?? new Map<string, readonly MeshDestinationRule[]>();
  last.set(lineage, before);
  const old = before.get(name);
  const isSame = old?.length === rules.length && rules.every((rule, index) => rule === old[index]);
  const list = isSame ? old : rules;
  before.set(name, list);
  lists.set(name, list);
  return list;
}
