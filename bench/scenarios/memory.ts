import { Agent, request } from "node:http";
import { setTimeout as wait } from "node:timers/promises";
import { benchHost, benchPath } from "../peers/peer.ts";
import { meshConfig, startControlPlane, startSidecar } from "../peers/weft.ts";
import { startBackend } from "../support/backend.ts";
import { proxyCore } from "../support/cores.ts";
import { startCountingRelay } from "../support/counting-relay.ts";
import { Fleet } from "../support/fleet.ts";
import { processUsage } from "../support/process-usage.ts";
import { removeScratch } from "../support/scratch.ts";
import { median } from "../support/statistics.ts";
import { formatTable } from "../support/table.ts";
import { service } from "./push.ts";

export interface MemoryOptions {
  readonly rounds: number;
  /** How many services the mesh has that the sidecar's workload never calls; the first is what the others are compared with. */
  readonly unused: readonly number[];
  /** Through each sidecar before its memory is read. */
  readonly requests: number;
  /** Proxies that start at once, in the mesh with the most services. */
  readonly proxies: number;
  readonly say: (progress: string) => void;
}

export interface MemoryResult {
  readonly rows: readonly MemoryRow[];
  readonly sync: readonly SyncRow[];
  readonly proxies: number;
}

/** One sidecar in a mesh of a size; medians over the rounds. */
export interface MemoryRow {
  readonly isOnDemand: boolean;
  readonly unused: number;
  readonly rssMb: number;
  readonly privateMb: number;
  /** From the control plane until the sidecar has answered all requests. */
  readonly xdsBytes: number;
  readonly startMs: number;
}

/** Many proxies that start at once. */
export interface SyncRow {
  readonly isOnDemand: boolean;
  /** ms until the last has what it needs. */
  readonly syncMs: number;
  readonly bytesPerProxy: number;
  readonly controlPlaneMb: number;
}

const endpoints = 10;

/** What services cost a sidecar that does not use them. */
export async function memory(options: MemoryOptions): Promise<MemoryResult> {
  const { unused, rounds, proxies, say } = options;
  const backend = await startBackend("node", 100);
  const samples: MemoryRow[] = [];
  const sync: SyncRow[] = [];
  try {
    for (const count of unused) {
      const others = Array.from({ length: count }, (_, index) => service(index, endpoints));
      const mesh = [meshConfig(backend.port, 100), ...others].join("\n---\n");
      const plane = await startControlPlane(mesh);
      try {
        for (let round = 1; round <= rounds; round++) {
          // The control plane works for the first of its kind what the others find ready, so each is first in turn.
          for (const isOnDemand of round % 2 === 1 ? [true, false] : [false, true]) {
            say(`${count} unused services, ${isOnDemand ? "on demand" : "all"}, ${round} of ${rounds}`);
            samples.push({ ...(await measure(plane.xds, isOnDemand, options.requests)), unused: count });
          }
        }
      } finally {
        await plane.stop();
      }
      if (count !== unused.at(-1) || proxies === 0) continue;
      for (const isOnDemand of [true, false]) {
        say(`${proxies} proxies at once, ${isOnDemand ? "on demand" : "all"}`);
        sync.push(await startMany(mesh, isOnDemand, proxies));
      }
    }
  } finally {
    await backend.stop();
    removeScratch();
  }
  const groups = Map.groupBy(samples, (row) => `${row.isOnDemand} ${row.unused}`);
  return { rows: [...groups.values()].map(mediansOf), sync, proxies };
}

async function measure(
  xds: number,
  isOnDemand: boolean,
  requests: number,
): Promise<Omit<MemoryRow, "unused">> {
  const relay = await startCountingRelay(xds);
  const startedAt = performance.now();
  const sidecar = await startSidecar(relay.port, isOnDemand ? [] : ["--on-demand", "off"]);
  try {
    const startMs = performance.now() - startedAt;
    await send(sidecar.port, requests);
    // What was read for the last time is given back by then.
    await wait(500);
    const usage = processUsage(sidecar.pid!);
    return {
      isOnDemand,
      rssMb: (usage?.rssBytes ?? Number.NaN) / 2 ** 20,
      privateMb: (usage?.privateBytes ?? Number.NaN) / 2 ** 20,
      xdsBytes: relay.bytes,
      startMs,
    };
  } finally {
    await sidecar.stop();
    await relay.stop();
  }
}

/** Eight at a time, to the one service that the workload calls. */
async function send(port: number, requests: number): Promise<void> {
  const agent = new Agent({ keepAlive: true });
  let left = requests;
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const headers = { host: benchHost };
      request({ host: "127.0.0.1", port, path: benchPath, headers, agent }, (response) => {
        response.resume().on("end", resolve).on("error", reject);
      })
        .on("error", reject)
        .end();
    });
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      while (left-- > 0) await one();
    }),
  );
  agent.destroy();
}

async function startMany(mesh: string, isOnDemand: boolean, proxies: number): Promise<SyncRow> {
  const plane = await startControlPlane(mesh, { core: proxyCore });
  const fleet = new Fleet(plane.xds, proxies, isOnDemand ? "s0.default.svc.cluster.local:8080" : undefined);
  try {
    const startedAt = Date.now();
    const { atMs, bytes } = await fleet.start();
    const rss = processUsage(plane.pid)?.rssBytes ?? Number.NaN;
    return {
      isOnDemand,
      syncMs: atMs - startedAt,
      bytesPerProxy: bytes / proxies,
      controlPlaneMb: rss / 2 ** 20,
    };
  } finally {
    await fleet.stop();
    await plane.stop();
  }
}

function mediansOf(rows: readonly MemoryRow[]): MemoryRow {
  const of = (key: "rssMb" | "privateMb" | "xdsBytes" | "startMs") => median(rows.map((row) => row[key]));
  const { isOnDemand, unused } = rows[0]!;
  return {
    isOnDemand,
    unused,
    rssMb: of("rssMb"),
    privateMb: of("privateMb"),
    xdsBytes: of("xdsBytes"),
    startMs: of("startMs"),
  };
}

/** How much more a sidecar holds than in the smallest mesh, 0.05 is 5 %. */
export function growth(rows: readonly MemoryRow[], isOnDemand: boolean, key: "rssMb" | "privateMb"): number {
  const own = rows.filter((row) => row.isOnDemand === isOnDemand);
  return own.at(-1)![key] / own[0]![key] - 1;
}

export function printMemory({ rows, sync, proxies }: MemoryResult): string {
  const kilobytes = (bytes: number) => (bytes / 1024).toFixed(0);
  const mode = (isOnDemand: boolean) => (isOnDemand ? "on demand" : "all");
  const sorted = rows.toSorted((a, b) => Number(b.isOnDemand) - Number(a.isOnDemand) || a.unused - b.unused);
  const one = formatTable(
    ["one sidecar", "unused services", "RSS MB", "private MB", "xDS kB", "start ms"],
    sorted.map((row) => [
      mode(row.isOnDemand),
      String(row.unused),
      row.rssMb.toFixed(1),
      row.privateMb.toFixed(1),
      kilobytes(row.xdsBytes),
      row.startMs.toFixed(0),
    ]),
  );
  const percent = (isOnDemand: boolean, key: "rssMb" | "privateMb") =>
    `${(growth(rows, isOnDemand, key) * 100).toFixed(1)} %`;
  const more = `From the smallest mesh to the largest a sidecar on demand grew by ${percent(true, "rssMb")} (private: ${percent(true, "privateMb")}; budget 5 %), one that holds all by ${percent(false, "rssMb")} (private: ${percent(false, "privateMb")}).`;
  if (sync.length === 0) return `${one}\n\n${more}`;
  const many = formatTable(
    [`${proxies} proxies start at once`, "last in step, s", "kB each", "control plane MB"],
    sync.map((row) => [
      mode(row.isOnDemand),
      (row.syncMs / 1000).toFixed(1),
      kilobytes(row.bytesPerProxy),
      row.controlPlaneMb.toFixed(0),
    ]),
  );
  return `${one}\n\n${more}\n\n${many}`;
}
