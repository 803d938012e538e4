import type { Cluster } from "../../common/model/cluster.ts";
import type { EndpointSet } from "../../common/model/endpoint.ts";
import type { ProxyNode } from "../../common/model/node.ts";
import type { DestinationRuleIndex } from "../snapshot/destination-rules.ts";
import { destinationRuleFor } from "../snapshot/destination-rules.ts";
import { covers, isVisible } from "../snapshot/hosts.ts";
import { keepMap } from "../snapshot/reuse.ts";
import { visibleService } from "../snapshot/services.ts";
import { imports } from "../snapshot/sidecars.ts";
import type {
  MeshDestinationRule,
  MeshService,
  MeshSidecar,
  ServiceEndpoints,
  Snapshot,
} from "../snapshot/snapshot.ts";
import { changedKeys } from "./changed-keys.ts";
import type { ServiceClusters } from "./clusters.ts";
import { passthroughCluster, serviceClusters } from "./clusters.ts";
import type { Vantage } from "./locality.ts";
import { vantageOf } from "./locality.ts";
import { trustDomainsOf } from "./mesh-tls.ts";

/** The mesh as the proxies of one namespace with one Sidecar (or none) may see it. */
export interface MeshView {
  /** One per hostname, sorted. */
  readonly services: ReadonlyMap<string, MeshService>;
  /**
   * Those of `services` that a Sidecar does not import: they are here because rules that it imports send to them, and
   * nobody can ask for them by name.
   */
  readonly unnamed: ReadonlySet<string>;
  readonly clusters: ReadonlyMap<string, Cluster>;
  readonly endpoints: ReadonlyMap<string, EndpointSet>;
}

/** A view with what it was made from, so that the next one is made from what changed. */
interface ViewState {
  readonly from: Snapshot;
  readonly sidecar: MeshSidecar | undefined;
  readonly vantage: Vantage;
  readonly made: ReadonlyMap<string, ServiceClusters>;
  readonly view: MeshView;
}

const states = new WeakMap<object, Map<string, ViewState>>();

/**
 * Computed once per snapshot, namespace and Sidecar, and per place where rules look at that. After a change of endpoints or DestinationRules only the services concerned
 * are looked at: with hundreds of namespaces and thousands of services anything else takes seconds.
 */
export function meshView(
  snapshot: Snapshot,
  node: Pick<ProxyNode, "namespace" | "labels" | "locality">,
  sidecar?: MeshSidecar,
): MeshView {
  const { namespace } = node;
  const vantage = vantageOf(snapshot, node);
  const known = states.get(snapshot.lineage) ?? new Map<string, ViewState>();
  states.set(snapshot.lineage, known);
  const key = `${viewKey(namespace, sidecar)} ${vantage.key}`;
  const state = known.get(key);
  if (state?.from === snapshot && state.sidecar === sidecar) return state.view;
  const isSame =
    state?.from.services.byKey === snapshot.services.byKey &&
    state.sidecar === sidecar &&
    state.vantage.siblingsText === vantage.siblingsText &&
    // What imported rules send to is seen too, so a scoped view follows the rules.
    (sidecar?.egress === undefined || state.from.virtualServices === snapshot.virtualServices);
  const next = isSame
    ? patchView(state, snapshot, namespace)
    : makeView(snapshot, namespace, vantage, sidecar, state?.view);
  known.set(key, next);
  return next.view;
}

/** Equal for proxies that see the same; a Sidecar without egress hosts hides nothing. */
export function viewKey(namespace: string, sidecar: MeshSidecar | undefined): string {
  return sidecar?.egress === undefined
    ? namespace
    : `${namespace} ${sidecar.key.namespace}/${sidecar.key.name}`;
}

function makeView(
  snapshot: Snapshot,
  namespace: string,
  vantage: Vantage,
  sidecar: MeshSidecar | undefined,
  before: MeshView | undefined,
): ViewState {
  const services = new Map<string, MeshService>();
  const made = new Map<string, ServiceClusters>();
  const clusters = new Map<string, Cluster>([[passthroughCluster.name, passthroughCluster]]);
  const endpoints = new Map<string, EndpointSet>();
  const unnamed = new Set<string>();
  const sentTo = sidecar?.egress && destinationsOf(snapshot, sidecar, namespace);
  for (const hostname of snapshot.services.byHostname.keys()) {
    let service = visibleService(snapshot.services, hostname, namespace, (candidate) =>
      imports(sidecar, candidate.namespace, hostname, namespace),
    );
    if (service === undefined && sentTo?.has(hostname)) {
      service = visibleService(snapshot.services, hostname, namespace);
      if (service !== undefined) unnamed.add(hostname);
    }
    if (service === undefined) continue;
    const own = clustersFor(snapshot, service, namespace, vantage);
    services.set(hostname, service);
    made.set(hostname, own);
    for (const cluster of own.clusters) clusters.set(cluster.name, cluster);
    for (const set of own.endpoints) endpoints.set(set.cluster, set);
  }
  const view = {
    services: keepMap(before?.services, services),
    unnamed: before !== undefined && sameNames(before.unnamed, unnamed) ? before.unnamed : unnamed,
    clusters: keepMap(before?.clusters, clusters),
    endpoints: keepMap(before?.endpoints, endpoints),
  };
  return { from: snapshot, sidecar, vantage, made, view };
}

/** The hosts that the rules a Sidecar imports send to: they must be reachable although nobody may name them. */
function destinationsOf(snapshot: Snapshot, sidecar: MeshSidecar, namespace: string): ReadonlySet<string> {
  const hosts = new Set<string>();
  if (sidecar.egressProxy !== undefined) hosts.add(sidecar.egressProxy.host);
  for (const virtual of snapshot.virtualServices.all) {
    const { key, exportTo } = virtual;
    if (!isVisible(exportTo, key.namespace, namespace)) continue;
    if (!virtual.hosts.some((host) => imports(sidecar, key.namespace, host, namespace))) continue;
    for (const { destinations } of [...(virtual.tls ?? []), ...(virtual.tcp ?? [])])
      for (const { destination } of destinations) hosts.add(destination.host);
    for (const { route } of virtual.rules) {
      if (route.action.kind !== "forward") continue;
      for (const { destination } of [...route.action.destinations, ...route.action.mirrors])
        hosts.add(destination.host);
    }
  }
  return hosts;
}

function sameNames(some: ReadonlySet<string>, others: ReadonlySet<string>): boolean {
  return some.size === others.size && [...some].every((name) => others.has(name));
}

/** The services are the same; their endpoints or DestinationRules may not be. Maps in which nothing changed stay the same. */
function patchView(state: ViewState, snapshot: Snapshot, namespace: string): ViewState {
  const { services, unnamed } = state.view;
  const concerned = new Map<string, ServiceClusters>();
  for (const service of concernedServices(state, snapshot)) {
    const own = clustersFor(snapshot, service, namespace, state.vantage);
    if (own !== state.made.get(service.hostname)) concerned.set(service.hostname, own);
  }
  if (concerned.size === 0) return { ...state, from: snapshot };
  const before = [...concerned.keys()].map((hostname) => state.made.get(hostname)!);
  const after = [...concerned.values()];
  return {
    from: snapshot,
    sidecar: state.sidecar,
    vantage: state.vantage,
    made: new Map([...state.made, ...concerned]),
    view: {
      services,
      unnamed,
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

function clustersFor(
  snapshot: Snapshot,
  service: MeshService,
  namespace: string,
  vantage: Vantage,
): ServiceClusters {
  const endpoints: ServiceEndpoints = snapshot.endpoints.get(service.key)!;
  return serviceClusters(
    service,
    endpoints,
    destinationRuleFor(snapshot.destinationRules, service, namespace, snapshot.settings.rootNamespace),
    vantage,
    trustDomainsOf(snapshot.settings),
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
