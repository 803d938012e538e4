import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The newest release that Go's module proxy has: its later tags are no valid module versions. */
const version = "v2.2.1+incompatible";
const folder = fileURLToPath(new URL("../../.cache/h2spec", import.meta.url));

/** Where h2spec lies, built from its Go module when it is not there yet; undefined, with a word why, where it can't be. */
export async function h2specBinary(explain: (why: string) => void): Promise<string | undefined> {
  const path = `${folder}/h2spec`;
  if (existsSync(path)) return path;
  try {
    await run("go", ["install", `github.com/summerwind/h2spec/cmd/h2spec@${version}`], {
      env: { ...process.env, GOBIN: folder },
      timeout: 240_000,
    });
  } catch (error) {
    explain(`h2spec could not be built with Go: ${(error as Error).message.split("\n")[0]}`);
    return undefined;
  }
  return existsSync(path) ? path : undefined;
}

export interface H2specResult {
  readonly summary: string;
  readonly failures: readonly string[];
  readonly output: string;
}

/** Runs all of its sections against a server; `failures` are the cases' names. */
export async function runH2spec(
  binary: string,
  host: string,
  port: number,
  overTls: boolean,
): Promise<H2specResult> {
  const tls = overTls ? ["-t", "-k"] : [];
  const all = ["-h", host, "-p", String(port), "-o", "10", ...tls, "generic", "http2", "hpack"];
  const output = await run(binary, all, { timeout: 200_000, maxBuffer: 1 << 24 }).then(
    ({ stdout }) => stdout,
    // It ends with 1 when a case fails.
    (error: { stdout?: string }) => error.stdout ?? "",
  );
  return {
    summary: /\d+ tests, .*/.exec(output)?.[0] ?? "",
    failures: Array.from(output.matchAll(/× \d+: (.*)/g), ([, name]) => name!.trim()),
    output,
  };
}
