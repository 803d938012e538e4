import type { Endpoint, Locality } from "../../common/model/endpoint.ts";
import type { ProxyNode } from "../../common/model/node.ts";
import { hasLabels } from "../snapshot/endpoints.ts";
import type { ServiceEndpoints, Snapshot } from "../snapshot/snapshot.ts";

/** Zone (`region/zone`) → how many workloads, or how much weight, is there. */
export type Zones = ReadonlyMap<string, number>;

const nobody: Zones = new Map();
const known = new WeakMap<ReadonlyMap<string, ServiceEndpoints>, Map<string, Zones>>();

/** Where the callers of one kind stand: the endpoints of the first service, by name, of the caller's namespace that it is one of. */
export function siblingsOf(snapshot: Snapshot, node: Pick<ProxyNode, "namespace" | "labels">): Zones {
  const answers = known.get(snapshot.endpoints) ?? new Map<string, Zones>();
  known.set(snapshot.endpoints, answers);
  const key = JSON.stringify([node.namespace, ...Object.entries(node.labels).sort().flat()]);
  const answer = answers.get(key) ?? countSiblings(snapshot, node);
  answers.set(key, answer);
  return answer;
}

function countSiblings(snapshot: Snapshot, node: Pick<ProxyNode, "namespace" | "labels">): Zones {
  for (const { key, namespace } of snapshot.services.byKey.values()) {
    if (namespace !== node.namespace) continue;
    const [first] = snapshot.endpoints.get(key)!.byPort.values();
    const isOwn = first?.some(({ workload }) => {
      const labels = workload?.labels ?? {};
      return Object.keys(labels).length > 0 && hasLabels(node.labels, labels);
    });
    if (isOwn) return sum(first!, () => 1);
  }
  return nobody;
}

/** What the endpoints weigh by zone; those that are nowhere count for nothing. */
export function weightByZone(endpoints: readonly Endpoint[]): Zones {
  return sum(endpoints, ({ weight }) => weight);
}

/**
 * The share of one zone's requests that goes to each zone (Envoy's zone aware routing): all stay where there is room for them, else as
 * many as there is room for, and the rest goes where more endpoints than callers are. Undefined when it can't be told: nobody is known to
 * call from there, or no endpoint is there.
 */
export function shareByZone(callers: Zones, endpoints: Zones, own: string): Zones | undefined {
  const called = fractions(callers);
  const offered = fractions(endpoints);
  const [from = 0, to = 0] = [called.get(own), offered.get(own)];
  if (from === 0 || to === 0) return undefined;
  if (to >= from) return new Map([[own, 1]]);
  const spare = [...offered].map(([zone, share]) => [zone, share - (called.get(zone) ?? 0)] as const);
  const room = spare.filter(([, share]) => share > 0);
  const all = room.reduce((total, [, share]) => total + share, 0);
  const staying = to / from;
  return new Map([
    [own, staying],
    ...room.map(([zone, share]) => [zone, ((1 - staying) * share) / all] as const),
  ]);
}

export function zoneOf(locality: Locality | undefined): string | undefined {
  return locality && `${locality.region}/${locality.zone}`;
}

function sum(endpoints: readonly Endpoint[], of: (endpoint: Endpoint) => number): Zones {
  const zones = new Map<string, number>();
  for (const endpoint of endpoints) {
    const zone = zoneOf(endpoint.locality);
    if (zone !== undefined) zones.set(zone, (zones.get(zone) ?? 0) + of(endpoint));
  }
  return zones;
}

function fractions(zones: Zones): Zones {
  const all = [...zones.values()].reduce((total, each) => total + each, 0);
  return new Map([...zones].map(([zone, each]) => [zone, each / all]));
}
