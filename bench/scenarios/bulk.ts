import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Peer, PeerKind } from "../peers/peer.ts";
import { benchHost, benchPath } from "../peers/peer.ts";
import { freePort, startChild, untilListening } from "../support/children.ts";
import { loadCore } from "../support/cores.ts";
import { nodeLoad } from "../support/load.ts";
import { startNginx } from "../support/nginx.ts";
import { removeScratch, scratchFolder } from "../support/scratch.ts";
import { median } from "../support/statistics.ts";
import { formatTable } from "../support/table.ts";

export interface BulkOptions {
  readonly peers: readonly PeerKind[];
  readonly rounds: number;
  readonly roundMs: number;
  /** Small requests a second. */
  readonly rate: number;
  readonly waitForCalm: () => Promise<boolean>;
  readonly say: (progress: string) => void;
}

/** Medians over the rounds. */
export interface BulkRow {
  readonly peer: string;
  readonly quietP50Ms: number;
  readonly quietP99Ms: number;
  readonly besideP50Ms: number;
  readonly besideP99Ms: number;
  /** Of the large bodies, MB/s; NaN when none came through in time. */
  readonly bodyMbPerSecond: number;
}

export interface BulkResult {
  readonly rows: readonly BulkRow[];
  readonly rate: number;
}

const bodyMb = 100;
const bulkPath = benchPath.replace(/item$/, "bulk");

interface Runner {
  readonly kind: PeerKind;
  readonly peer: Peer;
  readonly rounds: Omit<BulkRow, "peer">[];
}

/** How long small requests take while large bodies come through the same proxies, one after the other and as fast as they go. */
export async function bulk(options: BulkOptions): Promise<BulkResult> {
  const { rounds, roundMs, rate, waitForCalm, say } = options;
  const folder = scratchFolder();
  writeFileSync(join(folder, "bulk"), Buffer.alloc(bodyMb * 1_000_000, "x"));
  const backendPort = await freePort();
  const small = `location / { default_type text/plain; return 200 "${"x".repeat(100)}"; }`;
  const large = `location ${bulkPath} { alias ${folder}/bulk; }`;
  const server = `server { listen 127.0.0.1:${backendPort} backlog=4096; sendfile on; ${small} ${large} }`;
  const backend = startNginx("nginx", loadCore, server);
  const runners: Runner[] = [];
  try {
    await untilListening(backendPort, backend);
    for (const kind of options.peers) {
      say(`starting ${kind.name}`);
      if (!(await kind.install()).ok) continue;
      runners.push({ kind, peer: await kind.start(backendPort), rounds: [] });
    }
    for (let round = 0; round < rounds; round++) {
      for (const { kind, peer, rounds: done } of runners) {
        await waitForCalm();
        say(`beside a large body, round ${round + 1} of ${rounds}: ${kind.name}`);
        const load = { port: peer.port, path: benchPath, host: benchHost, connections: 32, rate };
        await nodeLoad({ ...load, durationMs: 1_000 });
        const quiet = await nodeLoad({ ...load, durationMs: roundMs });
        const program = fileURLToPath(new URL("../support/bulk-reader.ts", import.meta.url));
        const reader = startChild(process.execPath, [program, String(peer.port), benchHost, bulkPath], {
          core: loadCore,
        });
        const beside = await nodeLoad({ ...load, durationMs: roundMs });
        const took = reader.output().split("\n").filter(Boolean).map(Number);
        await reader.stop();
        done.push({
          quietP50Ms: quiet.p50Ms,
          quietP99Ms: quiet.p99Ms,
          besideP50Ms: beside.p50Ms,
          besideP99Ms: beside.p99Ms,
          bodyMbPerSecond: (1000 * bodyMb) / median(took),
        });
      }
    }
    return { rows: runners.map(rowOf), rate };
  } finally {
    await Promise.all(runners.map(({ peer }) => peer.stop()));
    await backend.stop();
    removeScratch();
  }
}

function rowOf({ kind, rounds }: Runner): BulkRow {
  const of = (key: keyof Omit<BulkRow, "peer">) => median(rounds.map((round) => round[key]));
  return {
    peer: kind.name,
    quietP50Ms: of("quietP50Ms"),
    quietP99Ms: of("quietP99Ms"),
    besideP50Ms: of("besideP50Ms"),
    besideP99Ms: of("besideP99Ms"),
    bodyMbPerSecond: of("bodyMbPerSecond"),
  };
}

export function printBulk({ rows, rate }: BulkResult): string {
  return [
    `${rate.toLocaleString("en")} small requests a second, alone and beside bodies of ${bodyMb} MB that come one after the other as fast as they go:`,
    formatTable(
      ["", "p50 ms", "p99 ms", "p50 beside", "p99 beside", "p99 ×", "bodies MB/s"],
      rows.map((row) => [
        row.peer,
        row.quietP50Ms.toFixed(2),
        row.quietP99Ms.toFixed(2),
        row.besideP50Ms.toFixed(2),
        row.besideP99Ms.toFixed(2),
        (row.besideP99Ms / row.quietP99Ms).toFixed(2),
        Number.isNaN(row.bodyMbPerSecond) ? "-" : row.bodyMbPerSecond.toFixed(0),
      ]),
    ),
  ].join("\n\n");
}
