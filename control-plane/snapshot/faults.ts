import { closestName } from "../../common/base/closest.ts";
import type { FaultPolicy } from "../../common/model/route.ts";
import type { TcpFault } from "../../common/model/tcp-fault.ts";
import type { CompiledFault, FaultTarget } from "../resources/fault/compiled.ts";
import type { Resource } from "../resources/resource.ts";
import type { MeshService } from "./mesh.ts";
import type { ResourceProblem } from "./problems.ts";
import { keyOf, positionOf } from "./problems.ts";
import type { Snapshot } from "./snapshot.ts";

type FaultResource = Resource<CompiledFault>;

/** Faults for the rules of one VirtualService. The target of a resource: the same object as long as that stays. */
export type RouteFault = Extract<FaultTarget, { kind: "route" }>;
/** Faults for the connections to a service. */
export type ServiceFault = Extract<FaultTarget, { kind: "service" }>;

/** Faults by their targets, oldest first. */
export interface FaultIndex {
  /** By `namespace/hostname`. */
  readonly services: ReadonlyMap<string, readonly ServiceFault[]>;
  /** By the `namespace/name` of a VirtualService. */
  readonly routes: ReadonlyMap<string, readonly RouteFault[]>;
}

/** `resources` are oldest first. */
export function indexFaults(resources: readonly FaultResource[]): FaultIndex {
  const services = new Map<string, ServiceFault[]>();
  const routes = new Map<string, RouteFault[]>();
  for (const { namespace, compiled } of resources) {
    const { target } = compiled;
    if (target.kind === "service") add(services, `${namespace}/${target.host}`, target);
    else add(routes, `${namespace}/${target.virtualService}`, target);
  }
  return { services, routes };
}

/** The fault for connections to one port of a service: the oldest that names the port, else the oldest for all ports. */
export function tcpFaultOf({ tcpFaults = [] }: MeshService, port: number): TcpFault | undefined {
  const found =
    tcpFaults.find((fault) => fault.port === port) ?? tcpFaults.find((fault) => fault.port === undefined);
  return found?.policy;
}

/** What a rule and the Faults for it say together, field by field: the rule's own first, then the oldest Fault's. */
export function joinFaults(
  own: FaultPolicy | undefined,
  faults: readonly RouteFault[],
): FaultPolicy | undefined {
  if (faults.length === 0) return own;
  return Object.assign({}, ...faults.toReversed().map(({ policy }) => policy), own) as FaultPolicy;
}

/** Faults that are live and harm nothing. */
export function faultProblems(
  resources: readonly FaultResource[],
  { services, virtualServices }: Pick<Snapshot, "services" | "virtualServices">,
): ResourceProblem[] {
  return resources.flatMap((resource) => {
    const { namespace, compiled } = resource;
    const { target } = compiled;
    if (target.kind === "service") {
      const service = services.byKey.get(`${namespace}/${target.host}`);
      if (service === undefined) {
        const own = [...services.byKey.values()].filter((other) => other.namespace === namespace);
        const hosts = own.map(({ hostname }) => hostname);
        return problemOf(resource, "service.host", `service ${target.host}`, closestName(target.host, hosts));
      }
      const ports = service.ports.map(({ number }) => number);
      if (target.port === undefined || ports.includes(target.port)) return [];
      const known = `its ports are ${ports.join(", ")}`;
      return problemOf(resource, "service.port", `port ${target.port} at ${target.host}`, undefined, known);
    }
    const { virtualService, rule } = target;
    const own = virtualServices.all.filter(({ key }) => key.namespace === namespace);
    const found = own.find(({ key }) => key.name === virtualService);
    if (found === undefined) {
      const guess = closestName(
        virtualService,
        own.map(({ key }) => key.name),
      );
      const what = `VirtualService ${virtualService} with hosts`;
      return problemOf(resource, "route.virtualService", what, guess);
    }
    const names = found.rules.map(({ name }) => name);
    if (rule === undefined || names.includes(rule)) return [];
    const what = `rule ${rule} in VirtualService ${virtualService}`;
    return problemOf(resource, "route.rule", what, closestName(rule, names));
  });
}

function problemOf(
  resource: FaultResource,
  path: string,
  what: string,
  guess: string | undefined,
  known = "a fault lies in the namespace of its target",
): ResourceProblem[] {
  return [
    {
      resource: keyOf(resource),
      path: `spec.target.${path}`,
      why: `namespace ${resource.namespace} has no ${what}, so it injects nothing`,
      hint: guess === undefined ? known : `did you mean ${guess}?`,
      severity: "warning",
      ...positionOf(resource.source),
    },
  ];
}

function add<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
