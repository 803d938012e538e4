import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { envoyBinary } from "../../test/support/envoy.ts";

const run = promisify(execFile);

/** A program that a peer needs, or why it is not to be had here. */
export type Installed =
  | { readonly ok: true; readonly path: string; readonly version: string }
  | { readonly ok: false; readonly why: string };

/** A program from Debian, installed when it is missing and we may (root, apt-get). */
export async function installFromDebian(program: string, packageName: string): Promise<Installed> {
  const found = await locate(program);
  if (found !== undefined) return found;
  if (process.platform !== "linux" || process.getuid?.() !== 0) {
    return { ok: false, why: `${program} is not installed; try: sudo apt-get install ${packageName}` };
  }
  try {
    await run("apt-get", ["update", "-qq"], { timeout: 120_000 });
    await run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", packageName], {
      timeout: 180_000,
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
  } catch (error) {
    return { ok: false, why: `apt-get install ${packageName} failed: ${lastLine(error)}` };
  }
  return (await locate(program)) ?? { ok: false, why: `${packageName} holds no ${program}` };
}

export async function installEnvoy(): Promise<Installed> {
  let reason = "";
  const path = await envoyBinary((why) => {
    reason = why;
  });
  return path === undefined ? { ok: false, why: reason } : { ok: true, path, version: await versionOf(path) };
}

async function locate(program: string): Promise<Installed | undefined> {
  try {
    // Debian keeps servers in /usr/sbin, which is not on everybody's path.
    const env = { ...process.env, PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/usr/local/sbin` };
    const { stdout } = await run("sh", ["-c", `command -v ${program}`], { env });
    const path = stdout.trim();
    return { ok: true, path, version: await versionOf(path) };
  } catch {
    return undefined;
  }
}

/** Each program says its version in another way; wrk even ends with exit code 1. */
async function versionOf(path: string): Promise<string> {
  const flag = path.endsWith("envoy") ? "--version" : "-v";
  const said = await run(path, [flag]).then(
    ({ stdout, stderr }) => stdout + stderr,
    (error: { stdout?: string; stderr?: string }) => `${error.stdout ?? ""}${error.stderr ?? ""}`,
  );
  // Envoy prints its path first, and that names a version of Python.
  return (/\d+\.\d+\.\d+/.exec(said) ?? /\d+\.\d+/.exec(said))?.[0] ?? "unknown";
}

function lastLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.trim().split("\n").at(-1) ?? "";
}
