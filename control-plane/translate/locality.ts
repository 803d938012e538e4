import type { Endpoint, Labels, Locality } from "../../common/model/endpoint.ts";
import type { ProxyNode } from "../../common/model/node.ts";
import type { ServiceIndex } from "../snapshot/services.ts";
import type {
  LocalityPolicy,
  MeshDestinationRule,
  MeshService,
  Snapshot,
  TrafficPolicy,
} from "../snapshot/snapshot.ts";
import { destinationRulesWith } from "./destination-rules-with.ts";
import type { Zones } from "./zone-aware.ts";
import { shareByZone, siblingsOf, weightByZone, zoneOf } from "./zone-aware.ts";

/** Where a caller is, as far as any rule asks for it. */
export interface Vantage {
  readonly locality: Locality | undefined;
  readonly labels: Labels;
  /** Where those stand who call as this one does; empty while no rule asks for it. */
  readonly siblings: Zones;
  /** The same as a text to compare. They change with every scaling, so they are no part of `key`. */
  readonly siblingsText: string;
  /** Equal for callers that no rule tells apart; "" for all while no rule speaks of localities. */
  readonly key: string;
}

const nearestFirst: LocalityPolicy = { distribute: [], failover: [], failoverPriority: [] };

const nowhere: Vantage = { locality: undefined, labels: {}, siblings: new Map(), siblingsText: "", key: "" };

/** Proxies with equal vantages share their endpoints, so nothing is in it that no rule in the mesh looks at. */
export function vantageOf(
  snapshot: Snapshot,
  node: Pick<ProxyNode, "namespace" | "locality" | "labels">,
): Vantage {
  const rules = destinationRulesWith(snapshot, "locality", looksAtLocality);
  if (rules.length === 0 && !checksHealth(snapshot.services)) return nowhere;
  const policies = rules
    .flatMap(({ policy, subsets }) => [policy, ...subsets.map((subset) => subset.policy)])
    .flatMap(localitiesOf);
  const wanted = new Set(
    policies.flatMap(({ failoverPriority }) => failoverPriority.map((entry) => entry.split("=")[0]!)),
  );
  const all = labelsAt(node.labels, node.locality);
  const labels = Object.fromEntries(Object.entries(all).filter(([name]) => wanted.has(name)));
  const { region = "", zone = "", subzone = "" } = node.locality ?? {};
  const place = [region, zone, subzone, ...Object.entries(labels).sort().flat()];
  const at = { locality: node.locality, labels };
  if (!policies.some(({ zoneAware }) => zoneAware !== undefined))
    return { ...at, siblings: nowhere.siblings, siblingsText: "", key: JSON.stringify(place) };
  const siblings = siblingsOf(snapshot, node);
  const kind = [node.namespace, ...Object.entries(node.labels).sort().flat()];
  return {
    ...at,
    siblings,
    siblingsText: JSON.stringify([...siblings].sort()),
    key: JSON.stringify([place, kind]),
  };
}

/** Whether a service's endpoints may differ for callers in different places. */
export function isPlaced(service: MeshService, rule: MeshDestinationRule | undefined): boolean {
  if (service.healthChecks !== undefined) return true;
  return rule !== undefined && [rule, ...rule.subsets].some(({ policy }) => looksAtLocality(policy));
}

/**
 * What orders a cluster's endpoints by nearness: what its rule says, else Istio's default (meshConfig.localityLbSetting), which is
 * nearest first as soon as something tells who is well. Readiness alone does not bring the default, since every endpoint has that.
 */
export function localityPolicy(
  { loadBalancer, outlierDetection }: Pick<TrafficPolicy, "loadBalancer" | "outlierDetection">,
  isChecked: boolean,
): LocalityPolicy | undefined {
  const { locality } = loadBalancer ?? {};
  if (locality === "off") return undefined;
  return locality ?? (outlierDetection !== undefined || isChecked ? nearestFirst : undefined);
}

/**
 * Gives endpoints the priority or the locality weight that they have for a caller (Istio's localityLbSetting): `distribute` weighs
 * localities, everything else orders them by nearness. Without knowing where the caller is, only labels can tell what is near.
 */
export function placeEndpoints(
  endpoints: readonly Endpoint[],
  policy: LocalityPolicy,
  vantage: Vantage,
): readonly Endpoint[] {
  if (policy.zoneAware !== undefined) return placeByZone(endpoints, policy, policy.zoneAware, vantage);
  const { locality, labels } = vantage;
  if (policy.failoverPriority.length > 0) {
    const order = (endpoint: Endpoint) => labelDistance(endpoint, policy.failoverPriority, labels);
    // Istio: among equals by label, a failover between regions still counts.
    return byOrder(endpoints, (endpoint) => order(endpoint) * 8 + regionDistance(endpoint, policy, locality));
  }
  if (locality === undefined) return endpoints;
  const shares = policy.distribute.find(({ from }) => matches(from, locality));
  if (shares !== undefined) return distribute(endpoints, shares.to);
  if (policy.distribute.length > 0) return endpoints;
  return byOrder(endpoints, (endpoint) => localityDistance(endpoint, policy, locality));
}

/** Whether `placeEndpoints`, which made `placed`, weighed localities rather than order them. */
export function weighsLocalities(
  { distribute: all, failoverPriority, zoneAware }: LocalityPolicy,
  at: Vantage,
  placed: readonly Endpoint[],
): boolean {
  if (zoneAware !== undefined) return placed.some(({ localityWeight }) => localityWeight !== undefined);
  const { locality } = at;
  if (locality === undefined || failoverPriority.length > 0) return false;
  return all.some(({ from }) => matches(from, locality));
}

/**
 * Istio's zoneAwareLbSetting: the nearest endpoints, all of the region unless labels say otherwise, divide the requests by zone; zones of
 * which nothing is needed come after them, other regions last.
 */
function placeByZone(
  endpoints: readonly Endpoint[],
  policy: LocalityPolicy,
  { minClusterSize }: NonNullable<LocalityPolicy["zoneAware"]>,
  { locality, labels, siblings }: Vantage,
): readonly Endpoint[] {
  const distance = (endpoint: Endpoint): number => {
    if (policy.failoverPriority.length > 0)
      return (
        labelDistance(endpoint, policy.failoverPriority, labels) * 8 +
        regionDistance(endpoint, policy, locality)
      );
    return locality === undefined ? 0 : Math.max(2, localityDistance(endpoint, policy, locality));
  };
  const first = Math.min(...endpoints.map(distance));
  const near = endpoints.filter((endpoint) => distance(endpoint) === first);
  const own = zoneOf(locality);
  const weights = weightByZone(near);
  const shares =
    own === undefined || near.length < minClusterSize ? undefined : shareByZone(siblings, weights, own);
  if (shares === undefined) return byOrder(endpoints, distance);
  const shareOf = (endpoint: Endpoint) => shares.get(zoneOf(endpoint.locality) ?? "") ?? 0;
  const isSpare = (endpoint: Endpoint) => distance(endpoint) === first && shareOf(endpoint) === 0;
  const ordered = byOrder(endpoints, (endpoint) => 2 * distance(endpoint) + (isSpare(endpoint) ? 1 : 0));
  if (shares.size === 1) return ordered;
  const members = Map.groupBy(near, ({ locality: place }) => place && localityText(place));
  return ordered.map((endpoint) => {
    if (endpoint.priority !== undefined || endpoint.locality === undefined) return endpoint;
    const group = members.get(localityText(endpoint.locality)) ?? [];
    const weight = group.reduce((all, member) => all + member.weight, 0);
    const ofZone = weight / weights.get(zoneOf(endpoint.locality)!)!;
    const localityWeight = Math.max(1, Math.round(100 * weightScale * shareOf(endpoint) * ofZone));
    return { ...endpoint, localityWeight };
  });
}

/** Numbers the levels from 0 without gaps: an empty priority would be a level without health. */
function byOrder(endpoints: readonly Endpoint[], distance: (endpoint: Endpoint) => number): Endpoint[] {
  const distances = endpoints.map(distance);
  const levels = [...new Set(distances)].sort((a, b) => a - b);
  return endpoints.map((endpoint, index) => {
    const priority = levels.indexOf(distances[index]!);
    return priority === 0 ? endpoint : { ...endpoint, priority };
  });
}

function localityDistance({ locality: other }: Endpoint, policy: LocalityPolicy, own: Locality): number {
  if (other?.region !== own.region || own.region === "") {
    const over = policy.failover.find(({ from }) => from === own.region);
    return over === undefined || over.to === other?.region ? 3 : 4;
  }
  if (other.zone !== own.zone) return 2;
  return other.subzone === own.subzone ? 0 : 1;
}

function regionDistance(
  { locality: other }: Endpoint,
  { failover }: LocalityPolicy,
  own: Locality | undefined,
): number {
  const over = own && failover.find(({ from }) => from === own.region);
  if (over === undefined || other?.region === own?.region) return 0;
  return over.to === other?.region ? 1 : 2;
}

/** How many of the labels, from the first that differs on, an endpoint does not share. */
function labelDistance(endpoint: Endpoint, priorities: readonly string[], own: Labels): number {
  const theirs = labelsAt(endpoint.workload?.labels ?? {}, endpoint.locality);
  const differs = priorities.findIndex((entry) => {
    const [name = "", value] = entry.split("=");
    const wanted = value ?? own[name];
    return wanted === undefined || theirs[name] !== wanted;
  });
  return differs < 0 ? 0 : priorities.length - differs;
}

/** Localities that share one entry divide its share by what their endpoints weigh. Localities that no entry names get nothing. */
function distribute(endpoints: readonly Endpoint[], to: Readonly<Record<string, number>>): Endpoint[] {
  const groups = Map.groupBy(endpoints, ({ locality }) => locality && localityText(locality));
  const open = [...groups.values()].filter(([first]) => first?.locality !== undefined);
  return Object.entries(to).flatMap(([pattern, share]) => {
    const matching = open.filter(([first]) => mostSpecific(Object.keys(to), first!.locality!) === pattern);
    const sum = matching.flat().reduce((all, { weight }) => all + weight, 0);
    return matching.flatMap((group) => {
      const own = group.reduce((all, { weight }) => all + weight, 0);
      const localityWeight = Math.max(1, Math.round((share * weightScale * own) / sum));
      return group.map((endpoint) => ({ ...endpoint, localityWeight }));
    });
  });
}

function mostSpecific(patterns: readonly string[], locality: Locality): string | undefined {
  return patterns
    .filter((pattern) => matches(pattern, locality))
    .sort((a, b) => specificity(b) - specificity(a))[0];
}

function specificity(pattern: string): number {
  return pattern.split("/").filter((part) => part !== "*").length;
}

/** `region/zone/*`, `region/*`, `*`; parts that are left out match everything. */
function matches(pattern: string, locality: Locality): boolean {
  const own = [locality.region, locality.zone, locality.subzone];
  return pattern.split("/").every((part, index) => part === "*" || part === own[index]);
}

/** Labels with the well-known ones for a place, where they are not written out. */
function labelsAt(labels: Labels, locality: Locality | undefined): Labels {
  if (locality === undefined) return labels;
  const places = {
    "topology.kubernetes.io/region": locality.region,
    "topology.kubernetes.io/zone": locality.zone,
    "topology.istio.io/subzone": locality.subzone,
  };
  const known = Object.entries(places).filter(([, value]) => value !== "");
  return { ...Object.fromEntries(known), ...labels };
}

function localityText({ region, zone, subzone }: Locality): string {
  return `${region}/${zone}/${subzone}`;
}

function looksAtLocality(policy: TrafficPolicy): boolean {
  return localitiesOf(policy).length > 0;
}

function localitiesOf(policy: TrafficPolicy): LocalityPolicy[] {
  return [policy, ...(policy.ports ?? [])].flatMap((fields) => localityPolicy(fields, false) ?? []);
}

const known = new WeakMap<ServiceIndex, boolean>();

/** Whether any service has a HealthCheck. */
function checksHealth(services: ServiceIndex): boolean {
  let answer = known.get(services);
  if (answer === undefined) {
    answer = [...services.byKey.values()].some(({ healthChecks }) => healthChecks !== undefined);
    known.set(services, answer);
  }
  return answer;
}

/** Percents as whole numbers that leave room for shares of shares. */
const weightScale = 10_000;
