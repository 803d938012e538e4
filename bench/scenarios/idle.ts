import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { envoy } from "../peers/envoy.ts";
import type { PeerKind } from "../peers/peer.ts";
import { benchHost, benchPath } from "../peers/peer.ts";
import { weft } from "../peers/weft.ts";
import type { Backend } from "../support/backend.ts";
import { startBackend } from "../support/backend.ts";
import { startChild } from "../support/children.ts";
import { loadCore } from "../support/cores.ts";
import { processUsage } from "../support/process-usage.ts";
import { removeScratch } from "../support/scratch.ts";
import { formatTable } from "../support/table.ts";

export interface IdleOptions {
  /** Connections that are held. */
  readonly connections: number;
  readonly say: (progress: string) => void;
}

export interface IdleRow {
  readonly peer: string;
  /** Connections that were there when the memory was read. */
  readonly held: number;
  /** Bytes, before and with them. */
  readonly rssBefore: number;
  readonly rssWith: number;
  readonly privateBefore: number;
  readonly privateWith: number;
}

/** What a client's idle connection costs a sidecar: each has had one request answered and is kept. */
export async function idle({ connections, say }: IdleOptions): Promise<readonly IdleRow[]> {
  const backend = await startBackend("node", 100);
  const rows: IdleRow[] = [];
  try {
    for (const kind of [weft, envoy]) {
      say(`${connections} connections through ${kind.name}`);
      if ((await kind.install()).ok) rows.push(await measure(kind, backend, connections));
    }
  } finally {
    await backend.stop();
    removeScratch();
  }
  return rows;
}

async function measure(kind: PeerKind, backend: Backend, connections: number): Promise<IdleRow> {
  const peer = await kind.start(backend.port);
  const program = fileURLToPath(new URL("../support/idle-connections.ts", import.meta.url));
  const hold = (count: number) =>
    startChild(process.execPath, [program, String(peer.port), benchHost, benchPath, String(count)], {
      core: loadCore,
    });
  try {
    // What the first connections bring into memory is there for good.
    const first = hold(200);
    await untilHeld(first.output, first.isRunning);
    await first.stop();
    await wait(settleMs);
    const before = processUsage(peer.pid!)!;
    const holder = hold(connections);
    const held = await untilHeld(holder.output, holder.isRunning);
    await wait(settleMs);
    const after = processUsage(peer.pid!)!;
    await holder.stop();
    return {
      peer: kind.name,
      held,
      rssBefore: before.rssBytes,
      rssWith: after.rssBytes,
      privateBefore: before.privateBytes,
      privateWith: after.privateBytes,
    };
  } finally {
    await peer.stop();
  }
}

/** ms in which a proxy gives back what it needed for a moment only. */
const settleMs = 3_000;

async function untilHeld(output: () => string, isRunning: () => boolean): Promise<number> {
  for (;;) {
    const held = /^held (\d+)$/m.exec(output())?.[1];
    if (held !== undefined) return Number(held);
    if (!isRunning()) throw new Error(`the connections' holder ended:\n${output()}`);
    await wait(50);
  }
}

export function printIdle(rows: readonly IdleRow[]): string {
  const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);
  const each = (from: number, to: number, held: number) => ((to - from) / held / 1000).toFixed(2);
  return [
    "Idle connections of clients, each after one answered request; less memory for each is better:",
    formatTable(
      ["", "connections", "RSS MB before", "with", "kB each", "private MB before", "with", "kB each"],
      rows.map((row) => [
        row.peer,
        row.held.toLocaleString("en"),
        megabytes(row.rssBefore),
        megabytes(row.rssWith),
        each(row.rssBefore, row.rssWith, row.held),
        megabytes(row.privateBefore),
        megabytes(row.privateWith),
        each(row.privateBefore, row.privateWith, row.held),
      ]),
    ),
  ].join("\n\n");
}
