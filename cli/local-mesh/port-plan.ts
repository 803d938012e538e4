import type { Problem } from "../../common/base/problem.ts";
import type { Result } from "../../common/base/result.ts";
import { failed, ok } from "../../common/base/result.ts";
import type { LocalMesh, MeshGateway, MeshWorkload } from "./mesh-file.ts";
import { instanceNames } from "./mesh-file.ts";

/** The base when none is asked for: it gives the control plane its well-known ports 15010, 15012 and 15014. */
export const defaultPortBase = 15000;

/** Which part of a local mesh listens where; all on loopback. */
export interface PortPlan {
  readonly base: number;
  readonly xds: number;
  /** xDS and certificates, with TLS. */
  readonly secureXds: number;
  readonly http: number;
  readonly gateways: readonly GatewayPorts[];
  readonly instances: readonly InstancePorts[];
}

export interface GatewayPorts {
  readonly gateway: MeshGateway;
  readonly admin: number;
  /** Server port of the Gateway resource → local port. */
  readonly servers: ReadonlyMap<number, number>;
}

/** One replica of a workload with its sidecar. */
export interface InstancePorts {
  readonly name: string;
  readonly workload: MeshWorkload;
  readonly admin: number;
  readonly outbound: number;
  readonly inbound: number;
  readonly app: number;
}

/** One port of the plan, said so that a person knows what it is for. */
export interface PlannedPort {
  readonly port: number;
  readonly owner: string;
}

const gatewayAdminOffset = 20;
const gatewayServerOffset = 40;
const sidecarOffset = 100;
const portsPerSidecar = 10;

/**
 * Lays the ports out from `base`: +10 xDS, +12 xDS with TLS, +14 HTTP API, +20… gateway admins, and ten for each sidecar from +100 (+0 admin,
 * +1 outbound, +6 inbound, +8 the app), so the last digit says what 15000, 15001 and 15006 say in a pod. Ports that the
 * file names are kept with the default base, and move to +40… with any other, so that two meshes never meet.
 */
export function planPorts(mesh: LocalMesh, base: number = defaultPortBase): Result<PortPlan> {
  const isMoved = base !== defaultPortBase;
  let nextServer = base + gatewayServerOffset;
  const gateways = mesh.gateways.map((gateway, index): GatewayPorts => {
    const servers = new Map(
      [...gateway.ports].map(([server, local]) => [server, isMoved ? nextServer++ : local] as const),
    );
    return { gateway, admin: base + gatewayAdminOffset + index, servers };
  });
  const instances = mesh.workloads
    .flatMap((workload) => instanceNames(workload).map((name) => ({ name, workload })))
    .map(({ name, workload }, index): InstancePorts => {
      const first = base + sidecarOffset + index * portsPerSidecar;
      const listen = workload.replicas === 1 ? workload.listen : undefined;
      // An app that somebody else starts cannot be told to move.
      const isFixed = listen !== undefined && (!isMoved || workload.command === undefined);
      return {
        name,
        workload,
        admin: first,
        outbound: first + 1,
        inbound: first + 6,
        app: isFixed ? listen : first + 8,
      };
    });
  const plan = { base, xds: base + 10, secureXds: base + 12, http: base + 14, gateways, instances };
  const problems = checkPlan(plan);
  return problems.length > 0 ? failed(problems) : ok(plan);
}

/** Every port that the mesh will listen on, with its owner. Ports of apps that somebody else starts are left out. */
export function plannedPorts(plan: PortPlan): readonly PlannedPort[] {
  return [
    { port: plan.xds, owner: "the control plane's xDS port" },
    { port: plan.secureXds, owner: "the control plane's xDS port with TLS" },
    { port: plan.http, owner: "the control plane's HTTP API" },
    ...plan.gateways.flatMap(({ gateway, admin, servers }) => [
      { port: admin, owner: `gateway ${gateway.name}'s admin port` },
      ...[...servers].map(([server, port]) => ({
        port,
        owner: `gateway ${gateway.name}'s port for server port ${server}`,
      })),
    ]),
    ...plan.instances.flatMap(({ name, workload, admin, outbound, inbound, app }) => [
      { port: admin, owner: `${name}'s sidecar admin port` },
      { port: outbound, owner: `${name}'s sidecar outbound port` },
      { port: inbound, owner: `${name}'s sidecar inbound port` },
      ...(workload.command === undefined ? [] : [{ port: app, owner: `workload ${name}` }]),
    ]),
  ];
}

function checkPlan(plan: PortPlan): readonly Problem[] {
  const problems: Problem[] = [];
  if (plan.gateways.length > gatewayServerOffset - gatewayAdminOffset) {
    problems.push({ path: "gateways", why: "are more than 20", hint: "split the mesh file" });
  }
  const taken = new Map<number, string>();
  for (const { port, owner } of plannedPorts(plan)) {
    const other = taken.get(port);
    if (port > 65535) {
      problems.push({
        path: "",
        why: `port ${port} for ${owner} does not exist`,
        hint: "choose a lower --port-base",
      });
    } else if (other !== undefined) {
      problems.push({ path: "", why: `port ${port} is wanted for ${other} and for ${owner}` });
    }
    taken.set(port, owner);
  }
  return problems;
}
