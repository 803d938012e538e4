import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BenchControlPlane } from "../peers/weft.ts";
import { startControlPlane } from "../peers/weft.ts";
import { proxyCore } from "../support/cores.ts";
import { Fleet } from "../support/fleet.ts";
import { processUsage } from "../support/process-usage.ts";
import { removeScratch } from "../support/scratch.ts";
import { percentile } from "../support/statistics.ts";

export interface PushOptions {
  readonly proxies: number;
  readonly services: number;
  /** Of each service. */
  readonly endpoints: number;
  /** Changes of each sort. */
  readonly changes: number;
  /** Write the control plane's CPU profile into this folder. */
  readonly profile?: string;
  readonly say: (progress: string) => void;
}

export interface PushResult {
  readonly proxies: number;
  readonly services: number;
  readonly endpoints: number;
  /** ms from the first proxy's start until the last has everything. */
  readonly syncMs: number;
  /** Of the control plane with all proxies in step. */
  readonly rssMb: number;
  readonly rows: readonly PushRow[];
}

/** One sort of change; ms from sending or writing it until the last proxy answered. */
export interface PushRow {
  readonly change: string;
  readonly budgetMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of resources, to each proxy. */
  readonly bytesPerProxy: number;
}

/** How long a change takes to reach every proxy, and what it costs. Nothing is left behind. */
export async function push(options: PushOptions): Promise<PushResult> {
  const { proxies, services, endpoints, changes, say } = options;
  say(`a control plane with ${services} services of ${endpoints} endpoints`);
  const profile = options.profile ? ["--cpu-prof", `--cpu-prof-dir=${options.profile}`] : [];
  const plane = await startControlPlane(mesh(services, endpoints), { core: proxyCore, nodeArgs: profile });
  const fleet = new Fleet(plane.xds, proxies, undefined);
  try {
    say(`${proxies} proxies`);
    const startedAt = now();
    const opened = await fleet.start();
    const rssMb = (processUsage(plane.pid)?.rssBytes ?? Number.NaN) / 2 ** 20;
    const apply = (text: string) => () => applyOver(plane, text);
    const rows: PushRow[] = [];
    const measure = async (
      change: string,
      kind: string,
      budgetMs: number,
      steps: (index: number) => () => Promise<void>,
    ) => {
      say(change);
      const times: number[] = [];
      let bytes = 0;
      for (let index = 0; index < changes; index++) {
        const begun = now();
        const answered = fleet.next(kind);
        await steps(index)();
        const { atMs, bytes: sent } = await answered;
        times.push(atMs - begun);
        bytes += sent;
      }
      times.sort((a, b) => a - b);
      const [p50Ms, p99Ms] = [percentile(times, 0.5), percentile(times, 0.99)];
      rows.push({ change, budgetMs, p50Ms, p99Ms, bytesPerProxy: bytes / proxies / changes });
    };
    await measure("rule applied over HTTP", "virtual-host", 250, (index) => apply(rule(index + 1)));
    await measure("rule written to a file", "virtual-host", 350, (index) => async () => {
      writeFileSync(
        join(plane.folder, "rule.yaml"),
        rule(1000 + index)
          .replace("name: s0", "name: s1")
          .replace("[s0.", "[s1."),
      );
    });
    const many = (index: number) => endpoints + index + 1;
    await measure("endpoint added", "endpoints", 250, (index) => apply(service(2, many(index))));
    await measure("endpoint removed", "endpoints", 100, (index) =>
      apply(service(2, many(changes - index - 2))),
    );
    return { proxies, services, endpoints, syncMs: opened.atMs - startedAt, rssMb, rows };
  } finally {
    await fleet.stop();
    await plane.stop();
    removeScratch();
  }
}

async function applyOver({ http }: BenchControlPlane, text: string): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${http}/resources`, { method: "POST", body: text });
  if (!response.ok) throw new Error(`the control plane answers ${response.status}: ${await response.text()}`);
}

function mesh(services: number, endpoints: number): string {
  const all = Array.from({ length: services }, (_, index) => service(index, endpoints));
  return [...all, rule(0)].join("---\n");
}

/** The service `s<index>` with endpoints that nobody calls. */
export function service(index: number, endpoints: number): string {
  const addresses = Array.from({ length: endpoints }, (_, endpoint) => {
    const address = `10.${index >> 8}.${index & 255}.${endpoint + 1}`;
    return `    - { address: ${address}, labels: { app: s${index}, version: v${(endpoint % 2) + 1} } }\n`;
  });
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: s${index}, namespace: default }
spec:
  hosts: [s${index}.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 8080, name: http, protocol: HTTP }]
  endpoints:
${addresses.join("")}`;
}

function rule(seconds: number): string {
  return `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: s0, namespace: default }
spec:
  hosts: [s0.default.svc.cluster.local]
  http: [{ timeout: ${seconds + 1}s, route: [{ destination: { host: s0.default.svc.cluster.local } }] }]
`;
}

/** The wall clock, because processes whose clocks were read at different starts drift apart. */
function now(): number {
  return Date.now();
}

export function printPush({ proxies, services, endpoints, syncMs, rssMb, rows }: PushResult): string {
  const header = `${"change until the last proxy's ACK".padEnd(34)}${["p50 ms", "p99 ms", "budget", "B/proxy"].map((cell) => cell.padStart(9)).join("")}`;
  return [
    `${services} services × ${endpoints} endpoints, ${proxies} proxies: in step after ${(syncMs / 1000).toFixed(1)} s, control plane ${rssMb.toFixed(0)} MB`,
    "",
    header,
    ...rows.map(
      ({ change, budgetMs, p50Ms, p99Ms, bytesPerProxy }) =>
        change.padEnd(34) +
        [p50Ms.toFixed(0), p99Ms.toFixed(0), String(budgetMs), bytesPerProxy.toFixed(0)]
          .map((cell) => cell.padStart(9))
          .join(""),
    ),
  ].join("\n");
}
