import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { JoinTokens } from "./join-tokens.ts";
import type { LocalMesh } from "./mesh-file.ts";
import type { PortPlan } from "./port-plan.ts";
import { defaultPortBase } from "./port-plan.ts";

/** What a running mesh tells other programs about itself, in `mesh.json`: addresses and process ids. */
export interface MeshInfo {
  readonly name: string;
  /** The launcher; SIGTERM to it stops the mesh. */
  readonly pid: number;
  readonly portBase: number;
  /** True once every part was ready. */
  readonly isReady: boolean;
  readonly controlPlane: {
    readonly pid?: number;
    readonly xds: string;
    readonly secureXds: string;
    readonly http: string;
  };
  readonly gateways: readonly GatewayInfo[];
  readonly sidecars: readonly SidecarInfo[];
  readonly workloads: readonly WorkloadInfo[];
}

export interface GatewayInfo {
  readonly name: string;
  readonly pid?: number;
  /** URLs, as all addresses below. */
  readonly admin: string;
  /** Server port of the Gateway resource → URL. */
  readonly servers: Readonly<Record<string, string>>;
}

export interface SidecarInfo {
  /** The workload's name. */
  readonly name: string;
  readonly pid?: number;
  readonly admin: string;
  readonly outbound: string;
  readonly inbound: string;
}

export interface WorkloadInfo {
  readonly name: string;
  readonly service?: string;
  readonly pid?: number;
  readonly app: string;
}

/** The folder of one mesh below the state folder. A mesh on moved ports has its own, since both may run at once. */
export class MeshFolder {
  readonly path: string;
  readonly generated: string;
  readonly controlPlane: string;
  readonly compileCache: string;
  /** What the control plane knows of the proxies' tokens. */
  readonly joinTokens: string;
  /** By which proxies know the control plane; written by it. */
  readonly rootCertificate: string;
  /** The mesh file's meshConfig, for the control plane. */
  readonly meshConfig: string;
  readonly #info: string;

  constructor(state: string, mesh: LocalMesh, plan: PortPlan) {
    this.path = join(state, plan.base === defaultPortBase ? mesh.name : `${mesh.name}-${plan.base}`);
    this.generated = join(this.path, "generated");
    this.controlPlane = join(this.path, "control-plane");
    this.compileCache = join(state, "compile-cache");
    this.joinTokens = join(this.path, "tokens", "owners.json");
    this.rootCertificate = join(this.controlPlane, "ca", "root-cert.pem");
    this.meshConfig = join(this.path, "mesh-config.json");
    this.#info = join(this.path, "mesh.json");
  }

  proxy(name: string): string {
    return join(this.path, "proxies", name);
  }

  /** The file of a proxy's join token. */
  token(name: string): string {
    return join(this.path, "tokens", `${name}.token`);
  }

  /** Writes the tokens of a run, each for its owner's eyes only. */
  writeTokens({ tokens, owners }: JoinTokens): void {
    const folder = dirname(this.joinTokens);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const secret = { mode: 0o600 };
    for (const [name, token] of tokens) writeFileSync(this.token(name), `${token}\n`, secret);
    writeFileSync(this.joinTokens, `${JSON.stringify(owners, undefined, 2)}\n`, secret);
  }

  /** Writes the generated resources anew. `fresh` also forgets what earlier runs applied and remembered. */
  prepare(resources: ReadonlyMap<string, string>, fresh: boolean, meshConfig: object = {}): void {
    if (fresh) rmSync(this.path, { recursive: true, force: true });
    rmSync(this.generated, { recursive: true, force: true });
    // What is kept of a mesh is nobody else's on this machine: applied resources may hold what was meant for few.
    mkdirSync(this.path, { recursive: true, mode: 0o700 });
    chmodSync(this.path, 0o700);
    mkdirSync(this.generated, { recursive: true });
    mkdirSync(this.controlPlane, { recursive: true });
    writeFileSync(this.meshConfig, JSON.stringify(meshConfig));
    for (const [name, text] of resources) writeFileSync(join(this.generated, name), text);
  }

  /** The pid of a launcher that runs this mesh now. */
  runningPid(): number | undefined {
    try {
      const { pid } = JSON.parse(readFileSync(this.#info, "utf8")) as MeshInfo;
      process.kill(pid, 0);
      return pid;
    } catch {
      return undefined;
    }
  }

  writeInfo(info: MeshInfo): void {
    const next = `${this.#info}.next`;
    writeFileSync(next, `${JSON.stringify(info, undefined, 2)}\n`);
    renameSync(next, this.#info);
  }

  removeInfo(): void {
    rmSync(this.#info, { force: true });
  }
}
