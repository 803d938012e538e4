import type { Result } from "../base/result.ts";
import type { Endpoint, EndpointSet, Locality } from "../model/endpoint.ts";
import messages from "./generated/messages.js";
import { fromTlsModeMetadata, toTlsModeMetadata } from "./transport-socket-match.ts";
import { fromWeftMetadata, toWeftMetadata, workloadFromJson, workloadToJson } from "./weft-metadata.ts";
import type { Reading } from "./wire.ts";
import { readMessage } from "./wire.ts";

type WireLocality = messages.envoy.config.core.v3.Locality;
type LocalityLbEndpoints = messages.envoy.config.endpoint.v3.LocalityLbEndpoints;
type LbEndpoint = messages.envoy.config.endpoint.v3.LbEndpoint;
type WireAssignment = messages.envoy.config.endpoint.v3.ClusterLoadAssignment;
type HealthStatus = messages.envoy.config.core.v3.HealthStatus;

const AssignmentCodec = messages.envoy.config.endpoint.v3.ClusterLoadAssignment;
const { HealthStatus } = messages.envoy.config.core.v3;

export function encodeEndpoints(set: EndpointSet): Uint8Array {
  return AssignmentCodec.encode({
    clusterName: set.cluster,
    endpoints: toLocalities(set.endpoints),
  }).finish();
}

/** Endpoints come out grouped by locality, in the order in which each locality first occurred. Never throws. */
export function decodeEndpoints(bytes: Uint8Array): Result<EndpointSet> {
  return readMessage(AssignmentCodec, bytes, fromAssignment);
}

function fromAssignment(message: WireAssignment, reading: Reading): EndpointSet {
  if (!message.clusterName) reading.problem("clusterName", "is empty");
  return { cluster: message.clusterName ?? "", endpoints: fromLocalities(message.endpoints, "", reading) };
}

/** One group per locality and priority, with a locality and a weight always: gRPC ignores or refuses groups without. */
export function toLocalities(endpoints: readonly Endpoint[]): LocalityLbEndpoints[] {
  const groups = new Map<string, { readonly locality: WireLocality; readonly members: Endpoint[] }>();
  for (const endpoint of endpoints) {
    const { region = "", zone = "", subzone = "" } = endpoint.locality ?? {};
    const key = JSON.stringify([region, zone, subzone, endpoint.priority ?? 0, endpoint.localityWeight]);
    const group = groups.get(key);
    if (group) group.members.push(endpoint);
    else groups.set(key, { locality: { region, zone, subZone: subzone }, members: [endpoint] });
  }
  return Array.from(groups.values(), ({ locality, members }) => ({
    locality,
    ...(members[0]!.priority ? { priority: members[0]!.priority } : {}),
    lbEndpoints: members.map(toLbEndpoint),
    loadBalancingWeight: {
      value: Math.min(
        0xffffffff,
        members[0]!.localityWeight ?? members.reduce((sum, { weight }) => sum + weight, 0),
      ),
    },
  }));
}

export function fromLocalities(
  groups: readonly LocalityLbEndpoints[] | null | undefined,
  path: string,
  reading: Reading,
): Endpoint[] {
  const base = path === "" ? "" : `${path}.`;
  const endpoints: Endpoint[] = [];
  for (const [index, group] of (groups ?? []).entries()) {
    const at = `${base}endpoints[${index}]`;
    reading.refuseUnknown(group, "envoy.config.endpoint.v3.LocalityLbEndpoints", at);
    const locality = fromLocality(group.locality);
    // Without a weight of its own a group gets what its endpoints weigh together, which is how we write that.
    const sum = (group.lbEndpoints ?? []).reduce(
      (all, member) => all + (member.loadBalancingWeight?.value || 1),
      0,
    );
    const weight = group.loadBalancingWeight?.value ?? 0;
    const place = {
      ...(group.priority ? { priority: group.priority } : {}),
      ...(weight === Math.min(0xffffffff, sum) ? {} : { localityWeight: weight }),
    };
    for (const [member, endpoint] of (group.lbEndpoints ?? []).entries()) {
      const read = fromLbEndpoint(endpoint, locality, `${at}.lbEndpoints[${member}]`, reading);
      if (read) endpoints.push({ ...read, ...place });
    }
  }
  return endpoints;
}

/** Undefined when all three parts are unknown. */
export function fromLocality(locality: WireLocality | null | undefined): Locality | undefined {
  const { region, zone, subZone } = locality ?? {};
  if (!region && !zone && !subZone) return undefined;
  return { region: region ?? "", zone: zone ?? "", subzone: subZone ?? "" };
}

function toLbEndpoint(endpoint: Endpoint): LbEndpoint {
  const weft = toWeftMetadata({ workload: workloadToJson(endpoint.workload) });
  const tlsMode = toTlsModeMetadata(endpoint.tlsMode);
  const metadata = tlsMode ? { filterMetadata: { ...weft?.filterMetadata, ...tlsMode } } : weft;
  return {
    endpoint: { address: { socketAddress: { address: endpoint.address, portValue: endpoint.port } } },
    healthStatus: toHealth(endpoint.health),
    loadBalancingWeight: { value: endpoint.weight },
    ...(metadata ? { metadata } : {}),
  };
}

function fromLbEndpoint(
  message: LbEndpoint,
  locality: Locality | undefined,
  path: string,
  reading: Reading,
): Endpoint | undefined {
  const socket = message.endpoint?.address?.socketAddress;
  if (!socket?.address || !socket.portValue) {
    reading.problem(`${path}.endpoint.address`, "must be a socket address with a port number");
    return undefined;
  }
  const workload = workloadFromJson(fromWeftMetadata(message.metadata).workload);
  const tlsMode = fromTlsModeMetadata(message.metadata);
  return {
    address: socket.address,
    port: socket.portValue,
    weight: message.loadBalancingWeight?.value || 1,
    health: fromHealth(message.healthStatus ?? 0),
    ...(workload ? { workload } : {}),
    ...(tlsMode ? { tlsMode } : {}),
    ...(locality ? { locality } : {}),
  };
}

function toHealth(health: Endpoint["health"]): HealthStatus {
  if (health === "healthy") return HealthStatus.HEALTHY;
  return health === "draining" ? HealthStatus.DRAINING : HealthStatus.UNHEALTHY;
}

/** UNKNOWN counts as healthy and TIMEOUT as unhealthy, as Envoy reads them; degraded endpoints still serve. */
function fromHealth(health: HealthStatus): Endpoint["health"] {
  if (health === HealthStatus.DRAINING) return "draining";
  return health === HealthStatus.UNHEALTHY || health === HealthStatus.TIMEOUT ? "unhealthy" : "healthy";
}
