import type { Cluster } from "../../common/model/cluster.ts";
import type { EndpointSet } from "../../common/model/endpoint.ts";
import type { DestinationRuleIndex } from "../snapshot/destination-rules.ts";
import { destinationRuleFor } from "../snapshot/destination-rules.ts";
import { covers } from "../snapshot/hosts.ts";
import { visibleService } from "../snapshot/services.ts";
import type { MeshDestinationRule, MeshService, ServiceEndpoints, Snapshot } from "../snapshot/snapshot.ts";
import { changedKeys } from "./changed-keys.ts";
import type { ServiceClusters } from "./clusters.ts";
import { passthroughCluster, serviceClusters } from "./clusters.ts";

/** The mesh as one namespace may see it. */
export interface MeshView {
  /** One per hostname, sorted. */
  readonly services: ReadonlyMap<string, MeshService>;
  readonly clusters: ReadonlyMap<string, Cluster>;
  readonly endpoints: ReadonlyMap<string, EndpointSet>;
}

/** A view with what it was made from, so that the next one is made from what changed. */
interface ViewState {
  readonly from: Snapshot;
  readonly made: ReadonlyMap<string, ServiceClusters>;
  readonly view: MeshView;
}

const states = new WeakMap<object, Map<string, ViewState>>();

/**
 * Computed once per snapshot and namespace. After a change of endpoints or DestinationRules only the services concerned
 * are looked at: with hundreds of namespaces and thousands of services anything else takes seconds.
 */
export function meshView(snapshot: Snapshot, namespace: string): MeshView {
  const known = states.get(snapshot.lineage) ?? new Map<string, ViewState>();
  states.set(snapshot.lineage, known);
  const state = known.get(namespace);
  if (state?.from === snapshot) return state.view;
  const next =
    state?.from.services.byKey === snapshot.services.byKey
      ? patchView(state, snapshot, namespace)
      : makeView(snapshot, namespace);
  known.set(namespace, next);
  return next.view;
}

function makeView(snapshot: Snapshot, namespace: string): ViewState {
  const services = new Map<string, MeshService>();
  const made = new Map<string, ServiceClusters>();
  const clusters = new Map<string, Cluster>([[passthroughCluster.name, passthroughCluster]]);
  const endpoints = new Map<string, EndpointSet>();
  for (const hostname of snapshot.services.byHostname.keys()) {
    const service = visibleService(snapshot.services, hostname, namespace);
    if (service === undefined) continue;
    const own = clustersFor(snapshot, service, namespace);
    services.set(hostname, service);
    made.set(hostname, own);
    for (const cluster of own.clusters) clusters.set(cluster.name, cluster);
    for (const set of own.endpoints) endpoints.set(set.cluster, set);
  }
  return { from: snapshot, made, view: { services, clusters, endpoints } };
}

/** The services are the same; their endpoints or DestinationRules may not be. Maps in which nothing changed stay the same. */
function patchView(state: ViewState, snapshot: Snapshot, namespace: string): ViewState {
  const { services } = state.view;
  const concerned = new Map<string, ServiceClusters>();
  for (const service of concernedServices(state, snapshot)) {
    const own = clustersFor(snapshot, service, namespace);
    if (own !== state.made.get(service.hostname)) concerned.set(service.hostname, own);
  }
  if (concerned.size === 0) return { ...state, from: snapshot };
  const before = [...concerned.keys()].map((hostname) => state.made.get(hostname)!);
  const after = [...concerned.values()];
  return {
    from: snapshot,
    made: new Map([...state.made, ...concerned]),
    view: {
      services,
      clusters: patchMap(
        state.view.clusters,
        before,
        after,
        (made) => made.clusters,
        ({ name }) => name,
      ),
      endpoints: patchMap(
        state.view.endpoints,
        before,
        after,
        (made) => made.endpoints,
        ({ cluster }) => cluster,
      ),
    },
  };
}

function concernedServices({ from, view }: ViewState, snapshot: Snapshot): ReadonlySet<MeshService> {
  const concerned = new Set<MeshService>();
  const add = (service: MeshService | undefined): void => {
    // Another namespace may see another service of the same host.
    if (service !== undefined && view.services.get(service.hostname) === service) concerned.add(service);
  };
  for (const key of changedKeys(from.endpoints, snapshot.endpoints)) add(snapshot.services.byKey.get(key));
  for (const host of changedRuleHosts(from.destinationRules, snapshot.destinationRules)) {
    if (!host.startsWith("*")) add(view.services.get(host));
    else for (const service of view.services.values()) if (covers(host, service.hostname)) add(service);
  }
  return concerned;
}

const rulesByName = new WeakMap<DestinationRuleIndex, ReadonlyMap<string, MeshDestinationRule>>();

function changedRuleHosts(before: DestinationRuleIndex, after: DestinationRuleIndex): ReadonlySet<string> {
  const names = changedKeys(flatten(before), flatten(after));
  return new Set([...names].map((name) => name.slice(name.indexOf("/") + 1)));
}

/** By `namespace/host`. */
function flatten(index: DestinationRuleIndex): ReadonlyMap<string, MeshDestinationRule> {
  let flat = rulesByName.get(index);
  if (flat === undefined) {
    const all = [...index.byNamespace.values()].flatMap(({ byHost, wildcards }) => [
      ...byHost.values(),
      ...wildcards,
    ]);
    flat = new Map(all.map((rule) => [`${rule.namespace}/${rule.host}`, rule]));
    rulesByName.set(index, flat);
  }
  return flat;
}

function clustersFor(snapshot: Snapshot, service: MeshService, namespace: string): ServiceClusters {
  const endpoints: ServiceEndpoints = snapshot.endpoints.get(service.key)!;
  return serviceClusters(
    service,
    endpoints,
    destinationRuleFor(snapshot.destinationRules, service, namespace),
  );
}

function patchMap<T>(
  map: ReadonlyMap<string, T>,
  before: readonly ServiceClusters[],
  after: readonly ServiceClusters[],
  partOf: (made: ServiceClusters) => readonly T[],
  nameOf: (element: T) => string,
): ReadonlyMap<string, T> {
  const next = new Map(after.flatMap(partOf).map((element) => [nameOf(element), element]));
  const gone = before
    .flatMap(partOf)
    .map(nameOf)
    .filter((name) => !next.has(name));
  const isSame = gone.length === 0 && [...next].every(([name, element]) => map.get(name) === element);
  if (isSame) return map;
  const patched = new Map([...map, ...next]);
  for (const name of gone) patched.delete(name);
  return patched;
}
