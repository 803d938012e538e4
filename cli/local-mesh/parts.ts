import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { AccessLog, LocalMesh } from "./mesh-file.ts";
import type { MeshFolder } from "./mesh-folder.ts";
import type { GatewayPorts, InstancePorts, PortPlan } from "./port-plan.ts";
import type { ProcessSpec } from "./process.ts";

/** What the command lines of a mesh's parts are made from. */
export interface PartsInput {
  readonly mesh: LocalMesh;
  readonly plan: PortPlan;
  readonly folder: MeshFolder;
  /** The mesh file's own folder. */
  readonly here: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** The command by which the control plane of a local mesh starts. It reads the user's folders and the generated one. */
export function controlPlaneSpec(input: PartsInput): ProcessSpec {
  const { mesh, plan, folder, here } = input;
  const configs = [...mesh.config.map((path) => resolve(here, path)), folder.generated];
  return ownPart(input, "control-plane", [
    "control-plane",
    ...configs.flatMap((path) => ["--config", path]),
    ...["--xds", local(plan.xds), "--http", local(plan.http), "--state", folder.controlPlane],
    ...["--secure-xds", local(plan.secureXds), "--join-tokens", folder.joinTokens],
    ...["--mesh-config", folder.meshConfig],
    ...["--mesh-config", folder.meshConfig],
  ]);
}

export function gatewaySpec(input: PartsInput, { gateway, admin, servers }: GatewayPorts): ProcessSpec {
  return ownPart(input, gateway.name, [
    "gateway",
    ...proxyOptions(input, gateway.name, gateway, admin),
    ...[...servers].flatMap(([server, port]) => ["--bind", `${server}=${local(port)}`]),
  ]);
}

export function sidecarSpec(input: PartsInput, instance: InstancePorts): ProcessSpec {
  const { name, workload, admin, outbound, inbound, app } = instance;
  return ownPart(input, sidecarName(name), [
    "proxy",
    ...proxyOptions(input, name, workload, admin),
    ...["--outbound", local(outbound), "--inbound", local(inbound), "--app", local(app)],
  ]);
}

/** How the sidecar of a workload is called in logs. */
export function sidecarName(workload: string): string {
  return `${workload}-proxy`;
}

/** The workload's own command; undefined when somebody else starts it. */
export function workloadSpec({ here, env }: PartsInput, instance: InstancePorts): ProcessSpec | undefined {
  const { name, workload, outbound, app } = instance;
  if (workload.command === undefined) return undefined;
  const own: Record<string, string> = {
    PORT: String(app),
    MESH_URL: `http://127.0.0.1:${outbound}`,
    SERVICE: workload.service?.name ?? name,
    VERSION: workload.labels.version ?? "v1",
    INSTANCE: name,
  };
  const given = Object.entries(workload.env).map(([key, value]) => [
    key,
    value.replaceAll(/\$\{(\w+)\}/g, (whole, variable: string) => own[variable] ?? whole),
  ]);
  return {
    name,
    command: workload.command,
    folder: resolve(here, workload.folder),
    // `node` in a command means the Node that runs Weft, not an older one that may come first.
    env: {
      ...env,
      PATH: `${dirname(process.execPath)}:${env.PATH ?? ""}`,
      ...own,
      ...Object.fromEntries(given),
    },
  };
}

interface ProxyIdentity {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly accessLog: AccessLog;
}

function proxyOptions(
  input: PartsInput,
  name: string,
  identity: ProxyIdentity,
  admin: number,
): readonly string[] {
  const labels = Object.entries(identity.labels).map(([key, value]) => `${key}=${value}`);
  return [
    ...["--name", name, "--namespace", identity.namespace, "--service-account", identity.serviceAccount],
    ...(labels.length === 0 ? [] : ["--labels", labels.join(",")]),
    ...["--control-plane", local(input.plan.secureXds), "--admin", local(admin)],
    ...["--token", input.folder.token(name), "--root-cert", input.folder.rootCertificate],
    ...["--state", input.folder.proxy(name), "--access-log", identity.accessLog],
    ...(input.env.WEFT_LOG_FORMAT === undefined ? ["--log-format", "text"] : []),
    // That a proxy became ready is said by the launcher; what is left to hear from it is what went wrong.
    ...(input.env.WEFT_LOG_LEVEL === undefined ? ["--log-level", "warn"] : []),
  ];
}

function ownPart({ folder, env }: PartsInput, name: string, args: readonly string[]): ProcessSpec {
  return {
    name,
    command: [process.execPath, mainPath(), ...args],
    folder: process.cwd(),
    // Twenty processes run the same code: the first compiles it, the others read it.
    env: { NODE_COMPILE_CACHE: folder.compileCache, ...env },
  };
}

/** cli/main of this very build: one folder up in the sources, beside this file in dist. */
function mainPath(): string {
  const self = fileURLToPath(import.meta.url);
  return self.endsWith(".ts") ? join(dirname(self), "..", "main.ts") : join(dirname(self), "main.js");
}

function local(port: number): string {
  return `127.0.0.1:${port}`;
}
