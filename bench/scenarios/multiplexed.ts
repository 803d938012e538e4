import { fileURLToPath } from "node:url";
import { envoyHttp2 } from "../peers/envoy.ts";
import type { Peer, PeerKind } from "../peers/peer.ts";
import { benchHost, benchPath } from "../peers/peer.ts";
import { weftWithRoutes } from "../peers/weft.ts";
import { freePort, startChild, untilListening } from "../support/children.ts";
import { loadCore } from "../support/cores.ts";
import type { H2LoadResult } from "../support/h2-load.ts";
import { h2Load } from "../support/h2-load.ts";
import { installFromDebian } from "../support/install.ts";
import { processUsage } from "../support/process-usage.ts";
import { removeScratch } from "../support/scratch.ts";
import { median } from "../support/statistics.ts";
import { formatTable } from "../support/table.ts";

/** `h2`: GET; `grpc`: unary calls with a message of the same size each way. */
export type MultiplexedKind = "h2" | "grpc";

export interface MultiplexedOptions {
  readonly kind: MultiplexedKind;
  readonly rounds: number;
  readonly roundMs: number;
  readonly bodyBytes: number;
  /** Called before each round; false when the machine stayed busy. */
  readonly waitForCalm: () => Promise<boolean>;
  readonly say: (progress: string) => void;
}

/** Medians over the rounds. */
export interface MultiplexedRow {
  readonly peer: string;
  readonly does: string;
  readonly version: string;
  readonly requestsPerSecond: number;
  readonly cpuMicrosPerRequest: number;
  readonly requestsPerCoreSecond: number;
  readonly meanMs: number;
  readonly errors: number;
}

export interface MultiplexedResult {
  readonly kind: MultiplexedKind;
  readonly rows: readonly MultiplexedRow[];
  readonly absent: readonly { readonly peer: string; readonly why: string }[];
  readonly roundsRun: number;
  readonly roundsDisturbed: number;
}

const connections = 4;
const streams = 10;

interface Runner {
  readonly kind: PeerKind;
  readonly version: string;
  readonly peer: Peer;
  readonly rounds: (H2LoadResult & { readonly cpuMicros: number })[];
}

/** One hop of HTTP/2 on both sides, 4 connections with 10 streams each: Weft beside Envoy, loaded in turns. */
export async function multiplexed(options: MultiplexedOptions): Promise<MultiplexedResult> {
  const installed = await installFromDebian("h2load", "nghttp2-client");
  if (!installed.ok) throw new Error(installed.why);
  const port = await freePort();
  const program = fileURLToPath(new URL("../support/h2-backend.ts", import.meta.url));
  const kind = options.kind === "grpc" ? "grpc" : "http";
  const backend = startChild(process.execPath, [program, String(port), kind, String(options.bodyBytes)], {
    core: loadCore,
  });
  await untilListening(port, backend);
  const weft = weftWithRoutes("Weft", 100, options.kind === "grpc" ? "GRPC" : "HTTP2");
  const runners: Runner[] = [];
  const absent: { peer: string; why: string }[] = [];
  let [roundsRun, roundsDisturbed] = [0, 0];
  try {
    for (const peerKind of [weft, envoyHttp2]) {
      options.say(`starting ${peerKind.name}`);
      const found = await peerKind.install();
      if (!found.ok) absent.push({ peer: peerKind.name, why: found.why });
      else {
        const peer = await peerKind.start(port);
        runners.push({ kind: peerKind, version: found.version, peer, rounds: [] });
      }
    }
    for (const runner of runners) {
      options.say(`warming ${runner.kind.name}`);
      await load(runner, { ...options, roundMs: Math.min(options.roundMs, 3000) });
    }
    for (let round = 0; round < options.rounds; round++) {
      for (let turn = 0; turn < runners.length; turn++) {
        const runner = runners[(turn + round) % runners.length]!;
        const isCalm = await options.waitForCalm();
        options.say(`round ${round + 1} of ${options.rounds}: ${runner.kind.name}`);
        runner.rounds.push(await load(runner, options));
        roundsRun++;
        if (!isCalm) roundsDisturbed++;
      }
    }
    return { kind: options.kind, rows: runners.map(rowOf), absent, roundsRun, roundsDisturbed };
  } finally {
    await Promise.all(runners.map(({ peer }) => peer.stop()));
    await backend.stop();
    removeScratch();
  }
}

async function load(
  { peer }: Runner,
  { kind, roundMs, bodyBytes }: MultiplexedOptions,
): Promise<H2LoadResult & { readonly cpuMicros: number }> {
  const before = processUsage(peer.pid!)?.cpuMicros ?? Number.NaN;
  const result = await h2Load({
    ...{ port: peer.port, path: benchPath, host: benchHost, connections, streams, durationMs: roundMs },
    ...(kind === "grpc" ? { grpcMessageBytes: bodyBytes } : {}),
  });
  const after = processUsage(peer.pid!)?.cpuMicros ?? Number.NaN;
  return { ...result, cpuMicros: after - before };
}

function rowOf({ kind, version, rounds }: Runner): MultiplexedRow {
  const cpu = median(rounds.map(({ cpuMicros, requests }) => cpuMicros / requests));
  return {
    peer: kind.name,
    does: kind.does,
    version,
    requestsPerSecond: median(rounds.map(({ requestsPerSecond }) => requestsPerSecond)),
    cpuMicrosPerRequest: cpu,
    requestsPerCoreSecond: 1e6 / cpu,
    meanMs: median(rounds.map(({ meanMs }) => meanMs)),
    errors: rounds.reduce((sum, { errors }) => sum + errors, 0),
  };
}

/** Ratios are against Envoy in the same run. */
export function printMultiplexed({
  kind,
  rows,
  absent,
  roundsRun,
  roundsDisturbed,
}: MultiplexedResult): string {
  const envoy = rows.find(({ peer }) => peer === "Envoy");
  const what = kind === "grpc" ? "gRPC unary calls" : "HTTP/2 GET";
  return [
    `${what}, ${connections} connections × ${streams} streams, HTTP/2 on both sides; more requests per core and second are better:`,
    formatTable(
      ["", "requests/s", "CPU µs/request", "requests/core·s", "× Envoy", "mean ms", "errors"],
      rows.map((row) => [
        row.peer,
        Math.round(row.requestsPerSecond).toLocaleString("en"),
        row.cpuMicrosPerRequest.toFixed(1),
        Math.round(row.requestsPerCoreSecond).toLocaleString("en"),
        envoy === undefined ? "-" : (row.requestsPerCoreSecond / envoy.requestsPerCoreSecond).toFixed(2),
        row.meanMs.toFixed(2),
        String(row.errors),
      ]),
    ),
    ...(roundsDisturbed === 0
      ? []
      : [`${roundsDisturbed} of ${roundsRun} rounds began while something else used the machine.`]),
    [
      ...rows.map(({ peer, version, does }) => `- ${peer}${version === "" ? "" : ` ${version}`}: ${does}`),
      ...absent.map(({ peer, why }) => `- ${peer} took no part: ${why}`),
    ].join("\n"),
  ].join("\n\n");
}
