import { setTimeout as wait } from "node:timers/promises";
import { direct } from "../peers/direct.ts";
import { envoy } from "../peers/envoy.ts";
import { haproxy } from "../peers/haproxy.ts";
import { httpProxy } from "../peers/http-proxy.ts";
import { nginx } from "../peers/nginx.ts";
import type { Peer, PeerKind } from "../peers/peer.ts";
import { benchHost, benchPath } from "../peers/peer.ts";
import { weft, weftBare } from "../peers/weft.ts";
import { weftAuthorization, weftInbound } from "../peers/weft-authorization.ts";
import { weftCodecs } from "../peers/weft-codecs.ts";
import type { Backend } from "../support/backend.ts";
import { startBackend } from "../support/backend.ts";
import { installFromDebian } from "../support/install.ts";
import type { Load, LoadRequest, LoadResult } from "../support/load.ts";
import { nodeLoad, wrkLoad } from "../support/load.ts";
import type { ProcessUsage } from "../support/process-usage.ts";
import { processesUsage } from "../support/process-usage.ts";
import { removeScratch } from "../support/scratch.ts";
import { median } from "../support/statistics.ts";

/** Everyone in the table, in its order. */
export const hopPeers: readonly PeerKind[] = [
  weft,
  weftBare,
  weftCodecs,
  weftInbound,
  weftAuthorization,
  envoy,
  haproxy,
  nginx,
  httpProxy,
  direct,
];

export interface HopOptions {
  readonly peers: readonly PeerKind[];
  readonly rounds: number;
  readonly roundMs: number;
  readonly connections: number;
  readonly bodyBytes: number;
  /** `debian`: wrk and nginx carry the load; `node`: our own, for machines without them. */
  readonly tools: "debian" | "node";
  /** Requests/s at which latency is measured. */
  readonly rate: number;
  /** Called before each round; false when the machine stayed busy. */
  readonly waitForCalm: () => Promise<boolean>;
  readonly say: (progress: string) => void;
}

/** One row of the table: medians over the rounds. */
export interface HopRow {
  readonly peer: string;
  readonly does: string;
  readonly version: string;
  readonly requestsPerSecond: number;
  /** Absent for no proxy, and where the system does not tell. */
  readonly cpuMicrosPerRequest?: number;
  /** Requests per second of a core fully used: 1 s / CPU per request. What is left when the proxy was not the bottleneck. */
  readonly requestsPerCoreSecond?: number;
  /** Under full load: mostly the time that requests stood in the queue of 32 connections. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** At `rate`. */
  readonly calmP50Ms: number;
  readonly calmP99Ms: number;
  /** Resident, and of it what it shares with no other process; after its start, before any load. */
  readonly idleRssMb?: number;
  readonly idlePrivateMb?: number;
  /** The same right after a round of full load. */
  readonly rssMb?: number;
  readonly privateMb?: number;
  /** Requests that failed, of all rounds. */
  readonly errors: number;
}

export interface HopResult {
  readonly rows: readonly HopRow[];
  /** Peers that could not take part, and why. */
  readonly absent: readonly { readonly peer: string; readonly why: string }[];
  readonly rate: number;
  /** Rounds in all, and those that began while something else used the machine. */
  readonly roundsRun: number;
  readonly roundsDisturbed: number;
}

interface Runner {
  readonly kind: PeerKind;
  readonly version: string;
  readonly peer: Peer;
  readonly idle: ProcessUsage | undefined;
  readonly rounds: Round[];
  readonly atRate: LoadResult[];
}

interface Round extends LoadResult {
  readonly cpuMicros?: number;
  readonly rssBytes?: number;
  readonly privateBytes?: number;
}

/**
 * One HTTP/1.1 hop, side by side. All peers stay up for the whole run and are loaded one at a time in rounds whose order rotates, so
 * that what else the machine does hits all alike.
 */
export async function hop(options: HopOptions): Promise<HopResult> {
  const load = await chooseLoad(options);
  const backend = await startBackend(options.tools === "debian" ? "nginx" : "node", options.bodyBytes);
  const runners: Runner[] = [];
  try {
    const absent = await startPeers(options, backend, runners);
    for (const runner of runners) {
      options.say(`warming ${runner.kind.name}`);
      await oneRound(runner, load, { ...options, roundMs: Math.min(options.roundMs, 2000) });
    }
    let [roundsRun, roundsDisturbed] = [0, 0];
    const inTurn = async (what: string, measure: (runner: Runner) => Promise<unknown>) => {
      for (let round = 0; round < options.rounds; round++) {
        for (let turn = 0; turn < runners.length; turn++) {
          const runner = runners[(turn + round) % runners.length]!;
          const isCalm = await options.waitForCalm();
          options.say(`${what}, round ${round + 1} of ${options.rounds}: ${runner.kind.name}`);
          await measure(runner);
          roundsRun++;
          if (!isCalm) roundsDisturbed++;
        }
      }
    };
    await inTurn("full load", async (runner) => runner.rounds.push(await oneRound(runner, load, options)));
    await inTurn(`${options.rate} requests/s`, async (runner) =>
      runner.atRate.push(await nodeLoad({ ...loadOf(runner, options), rate: options.rate })),
    );
    return { rows: runners.map(rowOf), absent, rate: options.rate, roundsRun, roundsDisturbed };
  } finally {
    await Promise.all(runners.map(({ peer }) => peer.stop()));
    await backend.stop();
    removeScratch();
  }
}

async function chooseLoad({ tools }: HopOptions): Promise<Load> {
  if (tools === "node") return nodeLoad;
  for (const [program, packageName] of [
    ["wrk", "wrk"],
    ["nginx", "nginx-light"],
  ] as const) {
    const installed = await installFromDebian(program, packageName);
    if (!installed.ok) throw new Error(`${installed.why} (or use --tools node)`);
  }
  return wrkLoad();
}

async function startPeers(
  options: HopOptions,
  backend: Backend,
  runners: Runner[],
): Promise<{ peer: string; why: string }[]> {
  const absent: { peer: string; why: string }[] = [];
  for (const kind of options.peers) {
    options.say(`starting ${kind.name}`);
    const installed = await kind.install();
    if (!installed.ok) {
      absent.push({ peer: kind.name, why: installed.why });
      continue;
    }
    try {
      const peer = await kind.start(backend.port);
      await wait(settleMs);
      const idle = processesUsage(pidsOf(peer));
      runners.push({ kind, version: installed.version, peer, idle, rounds: [], atRate: [] });
    } catch (error) {
      absent.push({ peer: kind.name, why: error instanceof Error ? error.message : String(error) });
    }
  }
  return absent;
}

/** ms after which a peer that serves has done what belongs to its start. */
const settleMs = 500;

function loadOf({ peer }: Runner, { connections, roundMs }: HopOptions): LoadRequest {
  return { port: peer.port, path: benchPath, host: benchHost, connections, durationMs: roundMs };
}

async function oneRound(runner: Runner, load: Load, options: HopOptions): Promise<Round> {
  const { peer } = runner;
  const before = processesUsage(pidsOf(peer));
  const result = await load(loadOf(runner, options));
  const after = processesUsage(pidsOf(peer));
  if (before === undefined || after === undefined) return result;
  const { rssBytes, privateBytes } = after;
  return { ...result, cpuMicros: after.cpuMicros - before.cpuMicros, rssBytes, privateBytes };
}

function rowOf({ kind, version, rounds, atRate, idle }: Runner): HopRow {
  const of = (pick: (round: Round) => number | undefined): number | undefined => {
    const values = rounds.map(pick).filter((value) => value !== undefined);
    return values.length === 0 ? undefined : median(values);
  };
  const cpu = of(({ cpuMicros, requests }) => (cpuMicros === undefined ? undefined : cpuMicros / requests));
  const [rss, own] = [of(({ rssBytes }) => rssBytes), of(({ privateBytes }) => privateBytes)];
  return {
    peer: kind.name,
    does: kind.does,
    version,
    requestsPerSecond: median(rounds.map((round) => round.requestsPerSecond)),
    ...(cpu === undefined ? {} : { cpuMicrosPerRequest: cpu, requestsPerCoreSecond: 1e6 / cpu }),
    p50Ms: median(rounds.map((round) => round.p50Ms)),
    p99Ms: median(rounds.map((round) => round.p99Ms)),
    calmP50Ms: median(atRate.map(({ p50Ms }) => p50Ms)),
    calmP99Ms: median(atRate.map(({ p99Ms }) => p99Ms)),
    ...(idle === undefined ? {} : { idleRssMb: idle.rssBytes / 1e6, idlePrivateMb: idle.privateBytes / 1e6 }),
    ...(rss === undefined ? {} : { rssMb: rss / 1e6 }),
    ...(own === undefined ? {} : { privateMb: own / 1e6 }),
    errors: [...rounds, ...atRate].reduce((sum, round) => sum + round.errors, 0),
  };
}

function pidsOf({ pid, morePids = [] }: Peer): readonly number[] {
  return pid === undefined ? [] : [pid, ...morePids];
}
