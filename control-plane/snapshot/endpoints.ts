import type { Endpoint, Labels, Workload } from "../../common/model/endpoint.ts";
import type { Service, ServiceEndpoint, ServicePort } from "../../common/model/service.ts";
import type { Resource } from "../resources/resource.ts";
import type { CompiledWorkloadEntry } from "../resources/workload-entry/compiled.ts";
import type { MeshService, ServiceEndpoints } from "./mesh.ts";
import { byKey } from "./order.ts";
import { keepList, keepMap, reuse } from "./reuse.ts";
import type { ServiceIndex } from "./services.ts";

/** By which it is known of a workload whether mutual TLS is refused on one of its ports. */
export interface EndpointSecurity {
  /** Another object when an answer may have changed. */
  readonly basis: object;
  readonly refusesMutualTls: (
    workload: Pick<Workload, "namespace" | "labels">,
    ports: readonly number[],
  ) => boolean;
}

/** Joins services with the endpoints written in them and with the WorkloadEntries that they select. */
export function buildEndpoints(
  services: ServiceIndex,
  workloads: readonly Resource<CompiledWorkloadEntry>[],
  security: EndpointSecurity,
  previous?: ReadonlyMap<string, ServiceEndpoints>,
): ReadonlyMap<string, ServiceEndpoints> {
  const lastSelector = previous && selectors.get(previous);
  const isSame =
    lastSelector !== undefined && keepList(lastSelector.workloads, workloads) === lastSelector.workloads;
  const current = isSame ? lastSelector : { workloads, select: selector(workloads) };
  const { select } = current;
  const joined = new Map<string, ServiceEndpoints>();
  for (const service of services.byKey.values()) {
    const parts = services.parts.get(service.key)!.map((part) => ({
      service: part.service,
      selected: part.service.workloadSelector && select(service.namespace, part.service.workloadSelector),
    }));
    const inputs = [
      service,
      security.basis,
      ...parts.flatMap((part) => [part.service, ...(part.selected ?? [])]),
    ];
    joined.set(
      service.key,
      reuse(previous?.get(service.key), inputs, () => ({
        key: service.key,
        byPort: new Map(
          service.ports.map((port) => [port.number, endpointsOf(service, port, parts, security)]),
        ),
      })),
    );
  }
  const endpoints = keepMap(previous, joined);
  selectors.set(endpoints, current);
  return endpoints;
}

type Workloads = readonly Resource<CompiledWorkloadEntry>[];

/** The last selector, for a next snapshot with the same workloads. */
const selectors = new WeakMap<object, { readonly workloads: Workloads; readonly select: Select }>();

/** True when `labels` holds every pair of `wanted`. */
export function hasLabels(labels: Labels, wanted: Labels): boolean {
  return Object.entries(wanted).every(([key, value]) => Object.hasOwn(labels, key) && labels[key] === value);
}

type Select = (namespace: string, wanted: Labels) => readonly ServiceEndpoint[];

/** Finds workloads by label without looking at all of them: 1,000 selectors over 10,000 workloads are asked at every change. */
function selector(workloads: readonly Resource<CompiledWorkloadEntry>[]): Select {
  const byPair = new Map<string, ServiceEndpoint[]>();
  for (const { namespace, compiled } of workloads.toSorted(byKey)) {
    for (const [key, value] of Object.entries(compiled.endpoint.workload?.labels ?? {})) {
      const pair = `${namespace} ${key} ${value}`;
      const list = byPair.get(pair);
      if (list === undefined) byPair.set(pair, [compiled.endpoint]);
      else list.push(compiled.endpoint);
    }
  }
  return (namespace, wanted) => {
    let rarest: readonly ServiceEndpoint[] | undefined;
    for (const [key, value] of Object.entries(wanted)) {
      const list = byPair.get(`${namespace} ${key} ${value}`) ?? [];
      if (rarest === undefined || list.length < rarest.length) rarest = list;
    }
    return (rarest ?? []).filter((endpoint) => hasLabels(endpoint.workload?.labels ?? {}, wanted));
  };
}

interface Part {
  readonly service: Service;
  readonly selected: readonly ServiceEndpoint[] | undefined;
}

function endpointsOf(
  service: MeshService,
  port: ServicePort,
  parts: readonly Part[],
  security: EndpointSecurity,
): Endpoint[] {
  const endpoints = new Map<string, Endpoint>();
  for (const part of parts) {
    const ownPort = part.service.ports.find(({ number }) => number === port.number);
    if (ownPort === undefined) continue;
    for (const endpoint of [...writtenEndpoints(service, part), ...(part.selected ?? [])]) {
      const { ports, ...rest } = endpoint;
      const number = ports.get(ownPort.name) ?? ownPort.targetPort ?? ownPort.number;
      const address = `${endpoint.address}:${number}`;
      if (endpoints.has(address)) continue;
      const secured = takesMutualTls(endpoint, service, [number, port.number], security);
      endpoints.set(address, {
        ...rest,
        port: number,
        health: "healthy",
        ...(secured && { tlsMode: "istio" as const }),
      });
    }
  }
  return [...endpoints.values()];
}

/** Whether the addresses of its endpoints may be names. */
export function isResolved({ resolution }: Pick<MeshService, "resolution">): boolean {
  return resolution === "dns" || resolution === "dns-round-robin";
}

/** Whose proxies take it say so by this label (Istio's); one that a PeerAuthentication turned off takes plain text only. */
const tlsModeLabel = "security.istio.io/tlsMode";

function takesMutualTls(
  { workload }: ServiceEndpoint,
  { namespace: home }: MeshService,
  ports: readonly number[],
  { refusesMutualTls }: EndpointSecurity,
): boolean {
  if (workload?.labels[tlsModeLabel] !== "istio") return false;
  const { labels, namespace } = workload;
  return !refusesMutualTls({ labels, namespace: namespace === "" ? home : namespace }, ports);
}

/** A DNS service without endpoints is its own endpoint: its host is what gets resolved (ServiceEntry.endpoints). */
function writtenEndpoints(service: MeshService, part: Part): readonly ServiceEndpoint[] {
  const isItsOwn =
    isResolved(service) &&
    part.service.endpoints.length === 0 &&
    part.selected === undefined &&
    !service.hostname.startsWith("*");
  return isItsOwn ? [{ address: service.hostname, weight: 1, ports: new Map() }] : part.service.endpoints;
}
