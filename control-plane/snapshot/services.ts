import type { Service } from "../../common/model/service.ts";
import type { Resource } from "../resources/resource.ts";
import type { CompiledServiceEntry } from "../resources/service-entry/compiled.ts";
import type { BreakerIndex } from "./circuit-breakers.ts";
import type { FaultIndex } from "./faults.ts";
import type { HealthCheckIndex } from "./health-checks.ts";
import { clusterLocalName, isVisible } from "./hosts.ts";
import type { MeshService, ServiceBreaker } from "./mesh.ts";
import { compare } from "./order.ts";
import type { ResourceProblem } from "./problems.ts";
import { keyOf, positionOf } from "./problems.ts";
import { keepMap, reuse } from "./reuse.ts";

export interface ServiceIndex {
  /** By `MeshService.key`, sorted by hostname, then namespace. */
  readonly byKey: ReadonlyMap<string, MeshService>;
  /** By hostname, oldest first: one per namespace that has it. */
  readonly byHostname: ReadonlyMap<string, readonly MeshService[]>;
  /** By `MeshService.key`, oldest first: what each ServiceEntry contributes to the service. */
  readonly parts: ReadonlyMap<string, readonly ServicePart[]>;
}

export interface ServicePart {
  readonly resource: Resource<CompiledServiceEntry>;
  readonly service: Service;
}

/** Groups the ServiceEntries' services by namespace and host. `entries` are oldest first. */
export function buildServices(
  entries: readonly Resource<CompiledServiceEntry>[],
  policies: {
    readonly breakers: BreakerIndex;
    readonly faults: FaultIndex;
    readonly healthChecks: HealthCheckIndex;
  },
  previous?: ServiceIndex,
): ServiceIndex {
  const parts = new Map<string, ServicePart[]>();
  for (const resource of entries) {
    for (const service of resource.compiled.services) {
      const key = `${service.namespace}/${service.hostname}`;
      const existing = parts.get(key);
      if (existing === undefined) parts.set(key, [{ resource, service }]);
      else existing.push({ resource, service });
    }
  }
  const services = [...parts].map(([key, contributions]) =>
    reuse(
      previous?.byKey.get(key),
      [
        ...contributions.flatMap(({ service, resource }) => [service, resource.createdAt]),
        ...policies.breakers.forService(key),
        ...(policies.faults.services.get(key) ?? []),
        ...(policies.healthChecks.get(key) ?? []),
      ],
      () => ({
        ...merge(key, contributions, policies.breakers.forService(key)),
        ...(policies.faults.services.has(key) && { tcpFaults: policies.faults.services.get(key)! }),
        ...(policies.healthChecks.has(key) && { healthChecks: policies.healthChecks.get(key)! }),
      }),
    ),
  );
  services.sort((a, b) => compare(a.hostname, b.hostname) || compare(a.namespace, b.namespace));
  const byHostname = new Map<string, MeshService[]>();
  for (const service of services) {
    const same = byHostname.get(service.hostname);
    if (same === undefined) byHostname.set(service.hostname, [service]);
    else same.push(service);
  }
  for (const same of byHostname.values()) same.sort((a, b) => a.createdAt - b.createdAt);
  const byKey = keepMap(previous?.byKey, new Map(services.map((service) => [service.key, service])));
  return { byKey, byHostname: byKey === previous?.byKey ? previous.byHostname : byHostname, parts };
}

/**
 * The service that a host names for a proxy in `namespace`: its own namespace's, else the oldest that it may see. `imports`
 * narrows what it may see further (Sidecar).
 */
export function visibleService(
  services: ServiceIndex,
  hostname: string,
  namespace: string,
  imports: (service: MeshService) => boolean = () => true,
): MeshService | undefined {
  const candidates = services.byHostname.get(hostname)?.filter(imports);
  return (
    candidates?.find((service) => service.namespace === namespace) ??
    candidates?.find((service) => isVisible(service.exportTo, service.namespace, namespace))
  );
}

/** Warns where several ServiceEntries make one service and disagree; the oldest one decided. */
export function serviceProblems(services: ServiceIndex): ResourceProblem[] {
  const problems: ResourceProblem[] = [];
  for (const [, [first, ...others]] of services.parts) {
    for (const { resource, service } of others) {
      for (const field of ["resolution", "location"] as const) {
        if (service[field] === first!.service[field]) continue;
        problems.push({
          resource: keyOf(resource),
          path: `spec.${field}`,
          why: `${service.hostname} is ${service[field]} here but ${first!.service[field]} in ServiceEntry ${first!.resource.namespace}/${first!.resource.name}, which is older and decides`,
          hint: "give all ServiceEntries of a host the same one",
          severity: "warning",
          ...positionOf(service.source),
        });
      }
    }
  }
  return problems;
}

function merge(key: string, parts: readonly ServicePart[], breakers: readonly ServiceBreaker[]): MeshService {
  const { resource, service: first } = parts[0]!;
  const ports = new Map(
    parts.toReversed().flatMap(({ service }) => service.ports.map((port) => [port.number, port] as const)),
  );
  const subjectAltNames = [...new Set(parts.flatMap(({ service }) => service.subjectAltNames ?? []))];
  const numbers = new Set(parts.flatMap(({ service }) => service.ports.map((port) => port.number)));
  return {
    key,
    hostname: first.hostname,
    namespace: first.namespace,
    name: clusterLocalName(first.hostname)?.name ?? first.hostname,
    ports: [...numbers].map((number) => ports.get(number)!),
    location: first.location,
    resolution: first.resolution,
    addresses: [...new Set(parts.flatMap(({ service }) => service.addresses))],
    ...(subjectAltNames.length > 0 && { subjectAltNames }),
    exportTo: first.exportTo,
    source: first.source,
    createdAt: resource.createdAt,
    ...(breakers.length > 0 && { breakers }),
  };
}
