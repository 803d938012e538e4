import type { Cluster } from "../../common/model/cluster.ts";
import type { EndpointSet } from "../../common/model/endpoint.ts";
import { destinationRuleFor } from "../snapshot/destination-rules.ts";
import { keepMap } from "../snapshot/reuse.ts";
import { visibleService } from "../snapshot/services.ts";
import type { MeshService, Snapshot } from "../snapshot/snapshot.ts";
import { passthroughCluster, serviceClusters } from "./clusters.ts";

/** The mesh as one namespace may see it. */
export interface MeshView {
  /** One per hostname, sorted. */
  readonly services: ReadonlyMap<string, MeshService>;
  readonly clusters: ReadonlyMap<string, Cluster>;
  readonly endpoints: ReadonlyMap<string, EndpointSet>;
}

const views = new WeakMap<Snapshot, Map<string, MeshView>>();

/** Computed once per snapshot and namespace. */
export function meshView(snapshot: Snapshot, namespace: string): MeshView {
  const known = views.get(snapshot) ?? new Map<string, MeshView>();
  views.set(snapshot, known);
  const existing = known.get(namespace);
  if (existing !== undefined) return existing;
  const view = makeView(snapshot, namespace);
  known.set(namespace, view);
  return view;
}

function makeView(snapshot: Snapshot, namespace: string): MeshView {
  const services = new Map<string, MeshService>();
  const clusters = new Map<string, Cluster>([[passthroughCluster.name, passthroughCluster]]);
  const endpoints = new Map<string, EndpointSet>();
  for (const hostname of snapshot.services.byHostname.keys()) {
    const service = visibleService(snapshot.services, hostname, namespace);
    if (service === undefined) continue;
    services.set(hostname, service);
    const rule = destinationRuleFor(snapshot.destinationRules, service, namespace);
    const made = serviceClusters(service, snapshot.endpoints.get(service.key)!, rule);
    for (const cluster of made.clusters) clusters.set(cluster.name, cluster);
    for (const set of made.endpoints) endpoints.set(set.cluster, set);
  }
  return {
    services,
    clusters: keepMap(snapshot.lineage, `clusters ${namespace}`, clusters),
    endpoints: keepMap(snapshot.lineage, `endpoints ${namespace}`, endpoints),
  };
}
