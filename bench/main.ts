import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { direct } from "./peers/direct.ts";
import type { PeerKind } from "./peers/peer.ts";
import { twoHopPeers } from "./peers/two-hops.ts";
import { useBuiltWeft } from "./peers/weft.ts";
import { bulk } from "./scenarios/bulk.ts";
import type { HopResult } from "./scenarios/hop.ts";
import { hop, hopPeers } from "./scenarios/hop.ts";
import { printHop } from "./scenarios/hop-table.ts";
import { idle, printIdle } from "./scenarios/idle.ts";
import type { MemoryResult } from "./scenarios/memory.ts";
import { memory, printMemory } from "./scenarios/memory.ts";
import type { MultiplexedKind } from "./scenarios/multiplexed.ts";
import { multiplexed, printMultiplexed } from "./scenarios/multiplexed.ts";
import { printPush, push } from "./scenarios/push.ts";
import { printReport } from "./scenarios/report.ts";
import { printStart, start } from "./scenarios/start.ts";
import type { TwoHopResult } from "./scenarios/two-hop-table.ts";
import { printTwoHops } from "./scenarios/two-hop-table.ts";
import { build } from "./support/build.ts";
import { calmWaiter } from "./support/calm.ts";
import { stopChildrenOnExit } from "./support/children.ts";
import { describeMachine } from "./support/machine.ts";

const usage = `npm run bench -- SCENARIO [options]

  hop      one HTTP/1.1 hop: Weft beside Envoy, HAProxy, nginx, http-proxy and no proxy
  two-hop-mtls  from sidecar to sidecar over mutual TLS: two of Weft beside two Envoys, each pair on one core
  idle     10,000 idle connections through one sidecar: memory for each, beside Envoy
  start    time to load the xDS types, and from a sidecar's start to its first request
  report   these and memory, beside the budgets: the page docs/benchmarks.md
  h2       one HTTP/2 hop, 4 connections with 10 streams each: Weft beside Envoy
  grpc     the same with gRPC unary calls
  memory   what services cost a sidecar that does not use them, on demand and not
  push     a rule or an endpoint changes: until the last proxy has it, and what it costs

  --rounds N         rounds per peer; medians are printed (3)
  --seconds S        length of a round (4)
  --connections N    keep-alive connections (32)
  --body BYTES       size of the response body (100)
  --peers a,b        only these: ${hopPeers.map(({ name }) => name).join(", ")}
  --tools KIND       what carries the load: debian (wrk and nginx, installed when missing) or node (debian)
  --proxies N        of push and memory: connected proxies (200)
  --services N       of push: services, each with 10 endpoints (1000)
  --profile FOLDER   of push: where the control plane's CPU profile goes
  --rate R           requests/s at which latency is measured (1000)
  --patience S       seconds in all to wait for a quiet machine before rounds (120)
  --sources          run Weft from its sources; without, it is built first and runs from dist/, as installed
  --write FILE       write what is printed to a file as well
  --json FILE        also write the result as JSON; - is stdout
`;

interface Flags {
  readonly rounds: number;
  readonly seconds: number;
  readonly connections: number;
  readonly body: number;
  readonly peers: readonly string[] | undefined;
  readonly tools: "debian" | "node";
  readonly proxies: number;
  readonly services: number;
  readonly profile: string | undefined;
  readonly rate: number;
  readonly waitForCalm: () => Promise<boolean>;
  readonly runsBuilt: boolean;
  readonly say: (progress: string) => void;
}

/** A scenario's result, and the same as text. */
interface Outcome {
  readonly result: object;
  readonly text: string;
  /** The text says itself on which machine it came to be. */
  readonly isWhole?: boolean;
}

/** Every scenario; one line each. */
const scenarios: Readonly<Record<string, (flags: Flags) => Promise<Outcome>>> = {
  hop: runHop,
  "two-hop-mtls": runTwoHops,
  idle: runIdle,
  h2: (flags) => runMultiplexed("h2", flags),
  grpc: (flags) => runMultiplexed("grpc", flags),
  memory: runMemory,
  push: runPush,
  start: runStart,
  report: runReport,
};

await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});

async function main(): Promise<void> {
  const { positionals, values } = parseFlags();
  const scenario = scenarios[positionals[0] ?? ""];
  if (scenario === undefined || positionals.length !== 1) fail(usage);
  stopChildrenOnExit();
  const say = (progress: string) => void process.stderr.write(`${progress}\n`);
  if (!values.sources) {
    say("building Weft");
    await build();
    useBuiltWeft();
  }
  const machine = describeMachine();
  const { result, text, isWhole } = await scenario({
    rounds: positive("--rounds", values.rounds),
    seconds: positive("--seconds", values.seconds),
    connections: positive("--connections", values.connections),
    body: positive("--body", values.body),
    peers: values.peers?.split(",").map((name) => name.trim()),
    tools:
      values.tools === "node"
        ? "node"
        : values.tools === "debian"
          ? "debian"
          : fail("--tools is debian or node"),
    proxies: positive("--proxies", values.proxies),
    services: positive("--services", values.services),
    profile: values.profile,
    rate: positive("--rate", values.rate),
    waitForCalm: calmWaiter(positive("--patience", values.patience) * 1000),
    runsBuilt: !values.sources,
    say,
  });
  const json = JSON.stringify(
    { scenario: positionals[0], at: new Date().toISOString(), machine, ...result },
    null,
    2,
  );
  if (values.json === "-") {
    process.stdout.write(`${json}\n`);
    return;
  }
  if (values.json !== undefined) writeFileSync(values.json, `${json}\n`);
  const { cpu, cores, memoryGb, system, node } = machine;
  const form = values.sources ? "Weft from its sources" : "Weft from dist/, as installed";
  const heading = `${form}; ${cores} × ${cpu}, ${memoryGb} GB, ${system}, Node ${node}\n\n`;
  const page = isWhole ? text : `${heading}${text}\n`;
  if (values.write !== undefined) writeFileSync(values.write, page);
  process.stdout.write(`\n${page}`);
}

async function runHop(flags: Flags): Promise<Outcome> {
  const result = await measureHop(flags);
  return { result, text: printHop(result) };
}

async function runTwoHops(flags: Flags): Promise<Outcome> {
  const result = await measureTwoHops(flags);
  return { result, text: printTwoHops(result) };
}

async function measureTwoHops(flags: Flags): Promise<TwoHopResult> {
  const { rounds, seconds, rate, waitForCalm, say } = flags;
  const hops = await measureHop(flags, twoHopPeers);
  const proxies = twoHopPeers.filter(({ name }) =>
    hops.rows.some((row) => row.peer === name && row.peer !== direct.name),
  );
  const options = { peers: proxies, rounds, roundMs: seconds * 1000, rate, waitForCalm, say };
  return { hops, bulk: await bulk(options) };
}

async function measureHop(flags: Flags, all: readonly PeerKind[] = hopPeers): Promise<HopResult> {
  const unknown = flags.peers?.find((wanted) => !all.some(({ name }) => sameName(name, wanted)));
  if (unknown !== undefined)
    fail(`no peer ${JSON.stringify(unknown)}; there are ${all.map(({ name }) => name).join(", ")}`);
  const peers = all.filter(({ name }) => flags.peers?.some((wanted) => sameName(name, wanted)) ?? true);
  return hop({
    peers,
    rounds: flags.rounds,
    roundMs: flags.seconds * 1000,
    connections: flags.connections,
    bodyBytes: flags.body,
    tools: flags.tools,
    rate: flags.rate,
    waitForCalm: flags.waitForCalm,
    say: flags.say,
  });
}

async function runReport(flags: Flags): Promise<Outcome> {
  const result = {
    start: await start(flags),
    hop: await measureHop(flags),
    memory: await measureMemory(flags),
    twoHops: await measureTwoHops(flags),
  };
  const words = process.argv.slice(2).map((word) => (word.includes(" ") ? `"${word}"` : word));
  const command = `npm run bench -- ${words.join(" ")}`;
  const machine = describeMachine();
  const text = printReport({
    ...result,
    machine,
    command,
    version: weftVersion(),
    runsBuilt: flags.runsBuilt,
  });
  return { result, text, isWhole: true };
}

async function runMultiplexed(kind: MultiplexedKind, flags: Flags): Promise<Outcome> {
  const { rounds, seconds, body: bodyBytes, waitForCalm, say } = flags;
  const result = await multiplexed({ kind, rounds, roundMs: seconds * 1000, bodyBytes, waitForCalm, say });
  return { result, text: printMultiplexed(result) };
}

async function runIdle({ say }: Flags): Promise<Outcome> {
  const rows = await idle({ connections: 10_000, say });
  return { result: { rows }, text: printIdle(rows) };
}

async function runStart(flags: Flags): Promise<Outcome> {
  const result = await start(flags);
  return { result, text: printStart(result) };
}

async function runMemory(flags: Flags): Promise<Outcome> {
  const result = await measureMemory(flags);
  return { result, text: printMemory(result) };
}

function measureMemory({ rounds, proxies, say }: Flags): Promise<MemoryResult> {
  return memory({ rounds, unused: [10, 500, 2_000], requests: 5_000, proxies, say });
}

async function runPush({ proxies, services, profile, say }: Flags): Promise<Outcome> {
  const options = { proxies, services, endpoints: 10, changes: 20, say };
  const result = await push({ ...options, ...(profile !== undefined && { profile }) });
  return { result, text: printPush(result) };
}

function weftVersion(): string {
  const manifest = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return String((JSON.parse(manifest) as { version: unknown }).version);
}

function parseFlags() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        rounds: { type: "string", default: "3" },
        seconds: { type: "string", default: "4" },
        connections: { type: "string", default: "32" },
        body: { type: "string", default: "100" },
        peers: { type: "string" },
        proxies: { type: "string", default: "200" },
        services: { type: "string", default: "1000" },
        profile: { type: "string" },
        tools: { type: "string", default: "debian" },
        rate: { type: "string", default: "1000" },
        patience: { type: "string", default: "120" },
        sources: { type: "boolean", default: false },
        write: { type: "string" },
        json: { type: "string" },
      },
    });
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

function positive(flag: string, text: string): number {
  const value = Number(text);
  return value > 0 ? value : fail(`${flag} needs a number above 0, not ${JSON.stringify(text)}`);
}

function sameName(name: string, wanted: string): boolean {
  return name.toLowerCase() === wanted.toLowerCase();
}

/** Wrong use: one message and exit code 2. */
function fail(message: string): never {
  process.stderr.write(`${message.trimEnd()}\n`);
  process.exit(2);
}
