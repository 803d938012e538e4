import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { MeshInfo } from "../../cli/local-mesh/mesh-folder.ts";

const main = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));

const compileCache = fileURLToPath(new URL("../../.cache/compile", import.meta.url));

export interface StartMeshOptions {
  /** Default: a free one. */
  readonly portBase?: number;
  /** Default: a temporary folder, removed by `stop`. */
  readonly state?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The command's file; default: the sources. */
  readonly main?: string;
  /** More of `weft up`'s options. */
  readonly args?: readonly string[];
  /** ms until start gives up; default 90 s, for a loaded machine with two cores. */
  readonly timeoutMs?: number;
}

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A local mesh that runs as `weft up` runs it: real processes on real sockets. */
export interface RunningMesh {
  readonly name: string;
  readonly launcherPid: number;
  /** The mesh's state folder. */
  readonly folder: string;
  /** The first address of the first gateway, such as `http://127.0.0.1:20040`. */
  readonly gatewayUrl: string;
  /** Addresses and pids as they are now: pids change when a part is started again. */
  info(): MeshInfo;
  /** Everything that the mesh has written so far. */
  log(): string;
  /** Resolves when the log holds a match, also one from the past. */
  logged(pattern: RegExp): Promise<RegExpExecArray>;
  /** Runs `weft ARGS` against this mesh's control plane. */
  weft(...args: readonly string[]): Promise<CommandResult>;
  /** Sends SIGTERM and waits until every process is gone; rejects when one stays. */
  stop(): Promise<void>;
}

/** Starts the mesh of a mesh file with ports and state of its own and waits until every part is ready. */
export async function startMesh(file: string, options: StartMeshOptions = {}): Promise<RunningMesh> {
  const state = options.state ?? mkdtempSync(join(tmpdir(), "weft-mesh-"));
  const portBase = options.portBase ?? (await freePortBase());
  // Kept between runs, outside of the temporary state: a dozen processes start in half the time.
  const env = { NODE_COMPILE_CACHE: compileCache, ...process.env, ...options.env };
  const program = options.main ?? main;
  const args = [
    program,
    "up",
    file,
    "--state",
    state,
    "--port-base",
    String(portBase),
    ...(options.args ?? []),
  ];
  // Over the channel the launcher notices the end of a test process that had no time to stop it, such as after a time-out.
  const launcher = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe", "ipc"] });
  const ended = once(launcher, "exit");
  let log = "";
  const readers = new Set<() => void>();
  for (const stream of [launcher.stdout!, launcher.stderr!]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      log += text;
      for (const read of readers) read();
    });
  }

  function logged(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const read = (): void => {
        const match = pattern.exec(log);
        if (match === null) return;
        readers.delete(read);
        resolve(match);
      };
      readers.add(read);
      void ended.then(() => reject(new Error(`weft up ended before it logged ${pattern}:\n${log}`)));
      read();
    });
  }

  async function stop(): Promise<void> {
    launcher.kill("SIGTERM");
    await ended;
    if (options.state === undefined) rmSync(state, { recursive: true, force: true });
  }

  const timeoutMs = options.timeoutMs ?? 90_000;
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`the mesh is not ready after ${timeoutMs} ms:\n${log}`)),
      timeoutMs,
    );
  });
  try {
    await Promise.race([logged(/all parts are ready/), tooLate]);
  } catch (error) {
    await stop();
    throw error;
  } finally {
    clearTimeout(timer);
  }

  const folder = meshFolder(state, portBase);
  const info = (): MeshInfo => JSON.parse(readFileSync(join(folder, "mesh.json"), "utf8")) as MeshInfo;
  const first = info();
  return {
    name: first.name,
    launcherPid: launcher.pid!,
    folder,
    gatewayUrl: Object.values(first.gateways[0]?.servers ?? {})[0] ?? "",
    info,
    log: () => log,
    logged,
    weft: (...rest) =>
      runWeft(rest, { ...env, WEFT_CONTROL_PLANE: new URL(first.controlPlane.http).host }, "", program),
    stop: async () => {
      const pids = pidsOf(info());
      await stop();
      const left = pids.filter(isAlive);
      if (left.length > 0) throw new Error(`processes outlived the mesh: ${left.join(", ")}\n${log}`);
    },
  };
}

/** Runs the command and collects what it says. */
export async function runWeft(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>> = process.env,
  stdin?: string,
  program = main,
): Promise<CommandResult> {
  const child = spawn(process.execPath, [program, ...args], { env, stdio: ["pipe", "pipe", "pipe"] });
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      output[name] += text;
    });
  }
  child.stdin.end(stdin);
  const [code] = (await once(child, "close")) as [number | null];
  return { code: code ?? -1, ...output };
}

/** Every process of a mesh but the launcher. */
export function pidsOf(info: MeshInfo): readonly number[] {
  const parts = [info.controlPlane, ...info.gateways, ...info.sidecars, ...info.workloads];
  return parts.flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
}

/** False also for a process that has ended and that nobody has collected. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/\) Z /.test(existsSync("/proc/self/stat") ? readFileSync(`/proc/${pid}/stat`, "utf8") : "");
  } catch {
    return false;
  }
}

/**
 * A base below the system's own range for outgoing connections, whose next 300 ports are free now. Random, so that test
 * files that start at once rarely meet.
 */
export async function freePortBase(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const base = 17_000 + 300 * Math.floor(Math.random() * 48);
    const offsets = [10, 14, 20, 40, ...Array.from({ length: 20 }, (_, index) => 100 + index * 10)];
    const free = await Promise.all(offsets.map((offset) => canListen(base + offset)));
    if (free.every(Boolean)) return base;
  }
  throw new Error("no free range of ports found");
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}

function meshFolder(state: string, portBase: number): string {
  const name = readdirSync(state).find((entry) => entry.endsWith(`-${portBase}`));
  if (name === undefined) throw new Error(`${state} holds no mesh at port base ${portBase}`);
  return join(state, name);
}
