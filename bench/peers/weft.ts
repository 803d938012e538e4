import { writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Child } from "../support/children.ts";
import { freePort, startChild } from "../support/children.ts";
import { loadCore, proxyCore } from "../support/cores.ts";
import { scratchFolder } from "../support/scratch.ts";
import type { Peer, PeerKind } from "./peer.ts";
import { benchHost, benchPath, routePrefixes } from "./peer.ts";

export const weft: PeerKind = weftWithRoutes("Weft", 100);

/** One route, so that a reader sees what routing costs. */
export const weftBare: PeerKind = weftWithRoutes("Weft bare", 1);

const command = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));
const builtCommand = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

let runsBuilt = false;

/** Makes the Weft peers run `dist/`, as production does; memory is measured fairly only so. */
export function useBuiltWeft(): void {
  runsBuilt = true;
}

/** What the backend's port is said to speak. */
export type BenchProtocol = "HTTP" | "HTTP2" | "GRPC";

/** The real thing: a control plane that reads YAML, and a sidecar that it configures. Only the sidecar is on the proxy core. */
export function weftWithRoutes(name: string, routes: number, protocol: BenchProtocol = "HTTP"): PeerKind {
  return {
    name,
    does: `${routes === 1 ? "1 route" : `${routes} routes`} from a control plane, Istio's metrics; one process`,
    install: async () => ({ ok: true, path: command, version: "" }),
    async start(backendPort) {
      const { stop: stopControlPlane, xds } = await startControlPlane(
        meshConfig(backendPort, routes, protocol),
      );
      const sidecar = await startSidecar(xds).catch(async (error: unknown) => {
        await stopControlPlane();
        throw error;
      });
      return {
        ...sidecar,
        async stop() {
          await sidecar.stop();
          await stopControlPlane();
        },
      };
    },
  };
}

/** A control plane in a process of its own, in front of nothing but YAML. */
export interface BenchControlPlane {
  /** Ports. */
  readonly xds: number;
  readonly http: number;
  readonly pid: number;
  /** Its folder of configuration. */
  readonly folder: string;
  stop(): Promise<void>;
}

export async function startControlPlane(
  yaml: string,
  {
    core = loadCore,
    nodeArgs = [],
    options = [],
  }: {
    readonly core?: number;
    readonly nodeArgs?: readonly string[];
    /** More of `weft control-plane`'s. */
    readonly options?: readonly string[];
  } = {},
): Promise<BenchControlPlane> {
  const folder = scratchFolder();
  writeFileSync(join(folder, "mesh.yaml"), yaml);
  const [xds, http] = [await freePort(), await freePort()];
  const args = [
    "control-plane",
    ...["--config", folder, "--state", scratchFolder()],
    ...options,
    ...["--xds", `127.0.0.1:${xds}`, "--http", `127.0.0.1:${http}`],
  ];
  const child = startWeft(core, args, nodeArgs);
  await untilStatus(200, { port: http, path: "/ready", host: "localhost" }, child);
  return { xds, http, folder, pid: child.pid, stop: () => child.stop() };
}

/** A sidecar, resolved when a request through it is answered. `options`: more of `weft proxy`'s. */
export async function startSidecar(xds: number, options: readonly string[] = []): Promise<Peer> {
  const [port, admin] = [await freePort(), await freePort()];
  const child = startWeft(proxyCore, [
    "proxy",
    ...[
      "--name",
      "client-v1",
      "--namespace",
      "bench",
      "--service-account",
      "client",
      "--labels",
      "app=client,version=v1",
    ],
    ...[
      "--control-plane",
      `127.0.0.1:${xds}`,
      "--outbound",
      `127.0.0.1:${port}`,
      "--admin",
      `127.0.0.1:${admin}`,
    ],
    ...options,
  ]);
  await untilStatus(200, { port, path: benchPath, host: benchHost }, child);
  return { port, pid: child.pid, stop: () => child.stop() };
}

/** `weft ARGS` as a process of its own. */
export function startWeft(core: number, args: readonly string[], nodeArgs: readonly string[] = []): Child {
  return startChild(process.execPath, [...nodeArgs, runsBuilt ? builtCommand : command, ...args], { core });
}

/** The backend as a service with one endpoint, and as many routes as asked that all lead there. */
export function meshConfig(backendPort: number, routes: number, protocol: BenchProtocol = "HTTP"): string {
  const service = {
    apiVersion: "networking.istio.io/v1",
    kind: "ServiceEntry",
    metadata: { name: "backend", namespace: "bench" },
    spec: {
      hosts: [benchHost],
      location: "MESH_INTERNAL",
      resolution: "STATIC",
      ports: [{ number: 80, name: "http", protocol }],
      endpoints: [
        { address: "127.0.0.1", ports: { http: backendPort }, labels: { app: "backend", version: "v1" } },
      ],
    },
  };
  const rules = {
    apiVersion: "networking.istio.io/v1",
    kind: "VirtualService",
    metadata: { name: "backend", namespace: "bench" },
    spec: {
      hosts: [benchHost],
      http: routePrefixes(routes).map((prefix) => ({
        match: [{ uri: { prefix } }],
        route: [{ destination: { host: benchHost } }],
      })),
    },
  };
  // JSON is YAML.
  return [service, rules].map((resource) => JSON.stringify(resource)).join("\n---\n");
}

interface Question {
  readonly port: number;
  readonly path: string;
  readonly host: string;
}

/** Resolves when a request is answered with this status; rejects after 30 s. */
export async function untilStatus(status: number, question: Question, child: Child): Promise<void> {
  const until = performance.now() + 30_000;
  let last: string | number = "nothing";
  while (performance.now() < until) {
    if (!child.isRunning()) throw new Error(`Weft ended before it was ready:\n${child.output()}`);
    last = await statusOf(question);
    if (last === status) return;
    await wait(10);
  }
  await child.stop();
  throw new Error(`Weft answers ${last} and not ${status} for ${question.path}:\n${child.output()}`);
}

function statusOf({ port, path, host }: Question): Promise<number | string> {
  return new Promise((resolve) => {
    const asked = request({ host: "127.0.0.1", port, path, headers: { host }, agent: false, timeout: 2000 });
    asked.on("response", (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode ?? 0));
      response.on("error", (error) => resolve(error.message));
    });
    asked.on("timeout", () => asked.destroy(new Error("no answer in 2 s")));
    asked.on("error", (error) => resolve(error.message));
    asked.end();
  });
}
