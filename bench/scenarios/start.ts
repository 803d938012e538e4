import { fileURLToPath } from "node:url";
import { meshConfig, startControlPlane, startSidecar } from "../peers/weft.ts";
import { startBackend } from "../support/backend.ts";
import { runChild } from "../support/children.ts";
import { proxyCore } from "../support/cores.ts";
import { removeScratch } from "../support/scratch.ts";
import { median } from "../support/statistics.ts";

export interface StartOptions {
  readonly rounds: number;
  readonly say: (progress: string) => void;
}

export interface StartResult {
  /** ms to load the compiled xDS message types in a fresh process. Budget: 60. */
  readonly loadXdsTypesMs: number;
  /** ms from starting a sidecar's process to its first request answered through a route from the control plane. Budget: 400. */
  readonly startToReadyMs: number;
}

/** How long things take to come up: each in a fresh process, medians. */
export async function start({ rounds, say }: StartOptions): Promise<StartResult> {
  say("loading the xDS types");
  const loads: number[] = [];
  for (let round = 0; round < rounds; round++) loads.push(await loadXdsTypes());
  const backend = await startBackend("node", 100);
  try {
    const controlPlane = await startControlPlane(meshConfig(backend.port, 100));
    try {
      const starts: number[] = [];
      for (let round = 0; round < rounds; round++) {
        say(`starting a sidecar, ${round + 1} of ${rounds}`);
        const startedAt = performance.now();
        const sidecar = await startSidecar(controlPlane.xds);
        starts.push(performance.now() - startedAt);
        await sidecar.stop();
      }
      return { loadXdsTypesMs: median(loads), startToReadyMs: median(starts) };
    } finally {
      await controlPlane.stop();
    }
  } finally {
    await backend.stop();
    removeScratch();
  }
}

async function loadXdsTypes(): Promise<number> {
  const types = new URL("../../common/xds/generated/", import.meta.url);
  const program = `
    const { readdirSync } = await import("node:fs");
    const folder = ${JSON.stringify(fileURLToPath(types))};
    const files = readdirSync(folder).filter((name) => /\\.m?js$/.test(name));
    if (files.length === 0) throw new Error("there are no compiled types in " + folder + "; run npm install");
    const startedAt = performance.now();
    for (const name of files) await import(${JSON.stringify(types.href)} + name);
    console.log(performance.now() - startedAt);`;
  const args = ["--input-type=module", "--eval", program];
  return Number(await runChild(process.execPath, args, { core: proxyCore, timeoutMs: 20_000 }));
}

export function printStart({ loadXdsTypesMs, startToReadyMs }: StartResult): string {
  return [
    `xDS types loaded in       ${loadXdsTypesMs.toFixed(0)} ms (budget 60)`,
    `sidecar start to ready    ${startToReadyMs.toFixed(0)} ms (budget 400)`,
  ].join("\n");
}
