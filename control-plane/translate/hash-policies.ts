import { isDeepStrictEqual } from "node:util";
import type { HashPolicy } from "../../common/model/route.ts";
import { destinationRuleFor } from "../snapshot/destination-rules.ts";
import type { MeshDestinationRule, MeshService, Snapshot, TrafficPolicy } from "../snapshot/snapshot.ts";
import { policyFor } from "./clusters.ts";
import { destinationRulesWith } from "./destination-rules-with.ts";

/** Finds the DestinationRule by which the proxy in hand calls a service, if it has anything to do with consistent hashing. */
export type FindHashing = (service: MeshService | undefined) => MeshDestinationRule | undefined;

/** The rules that make routes hash; the same list as long as none of them changes. */
export function hashingRules(snapshot: Snapshot): readonly MeshDestinationRule[] {
  return destinationRulesWith(snapshot, "hash", hashes);
}

export function findHashing(snapshot: Snapshot, namespace: string): FindHashing {
  // In most meshes nothing hashes, and then nothing is looked up.
  if (hashingRules(snapshot).length === 0) return () => undefined;
  return (service) => {
    if (service === undefined) return undefined;
    const { destinationRules, settings } = snapshot;
    const rule = destinationRuleFor(destinationRules, service, namespace, settings.rootNamespace);
    return rule !== undefined && policiesOf(rule).some(hashes) ? rule : undefined;
  };
}

/** What a route to these destinations hashes by: what each of them asks for, once (as Istio joins them). */
export function joinHashPolicies(all: readonly (HashPolicy | undefined)[]): { hashPolicies?: HashPolicy[] } {
  const joined: HashPolicy[] = [];
  for (const policy of all) {
    if (policy !== undefined && !joined.some((known) => isDeepStrictEqual(known, policy)))
      joined.push(policy);
  }
  return joined.length === 0 ? {} : { hashPolicies: joined };
}

export function hashPolicyOf(
  rule: MeshDestinationRule | undefined,
  subset: string | undefined,
  port: number,
): HashPolicy | undefined {
  if (rule === undefined) return undefined;
  const own = rule.subsets.find(({ name }) => name === subset);
  return policyFor(rule, own, port).loadBalancer?.hashPolicy;
}

function hashes({ loadBalancer, ports }: TrafficPolicy): boolean {
  return (
    loadBalancer?.hashPolicy !== undefined ||
    (ports?.some((port) => port.loadBalancer?.hashPolicy !== undefined) ?? false)
  );
}

function policiesOf(rule: MeshDestinationRule): TrafficPolicy[] {
  return [rule.policy, ...rule.subsets.map(({ policy }) => policy)];
}
