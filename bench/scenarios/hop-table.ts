import { formatTable } from "../support/table.ts";
import type { HopResult, HopRow } from "./hop.ts";

/** The hop scenario's result as Markdown tables, which people read as they are. Ratios are against Envoy in the same run. */
export function printHop(result: HopResult): string {
  const { rows, absent, rate, roundsRun, roundsDisturbed } = result;
  const envoy = rows.find(({ peer }) => peer === "Envoy");
  const direct = rows.find(({ peer }) => peer === "no proxy");
  const notes = [
    ...rows.map(({ peer, version, does }) => `- ${peer}${version === "" ? "" : ` ${version}`}: ${does}`),
    ...absent.map(({ peer, why }) => `- ${peer} took no part: ${why}`),
  ];
  return [
    "Full load; more requests per core and second are better:",
    formatTable(
      ["", "requests/s", "CPU µs/request", "requests/core·s", "× Envoy", "p50 ms", "p99 ms", "errors"],
      rows.map((row) => [
        row.peer,
        whole(row.requestsPerSecond),
        fixed(row.cpuMicrosPerRequest, 1),
        row.requestsPerCoreSecond === undefined ? "-" : whole(row.requestsPerCoreSecond),
        ratio(row.requestsPerCoreSecond, envoy?.requestsPerCoreSecond),
        fixed(row.p50Ms, 2),
        fixed(row.p99Ms, 2),
        String(row.errors),
      ]),
    ),
    `Latency at ${whole(rate)} requests/s; what is above no proxy, the proxy added, so less is better:`,
    formatTable(
      ["", "p50 ms", "p99 ms", "p50 added", "× Envoy", "p99 added", "× Envoy"],
      rows.map((row) => [row.peer, ...latency(row, envoy, direct)]),
    ),
    "Memory in MB, resident and of it private (what no other process shares); less is better:",
    formatTable(
      ["", "idle", "private", "× Envoy", "loaded", "× Envoy", "private", "× Envoy"],
      rows
        .filter(({ rssMb }) => rssMb !== undefined)
        .map((row) => [
          row.peer,
          fixed(row.idleRssMb, 0),
          fixed(row.idlePrivateMb, 0),
          ratio(row.idlePrivateMb, envoy?.idlePrivateMb),
          fixed(row.rssMb, 0),
          ratio(row.rssMb, envoy?.rssMb),
          fixed(row.privateMb, 0),
          ratio(row.privateMb, envoy?.privateMb),
        ]),
    ),
    ...(roundsDisturbed === 0
      ? []
      : [`${roundsDisturbed} of ${roundsRun} rounds began while something else used the machine.`]),
    notes.join("\n"),
  ].join("\n\n");
}

function latency(row: HopRow, envoy: HopRow | undefined, direct: HopRow | undefined): readonly string[] {
  const added = (of: HopRow | undefined, percentile: "calmP50Ms" | "calmP99Ms"): number | undefined =>
    of === undefined || direct === undefined || of === direct
      ? undefined
      : of[percentile] - direct[percentile];
  return [
    fixed(row.calmP50Ms, 2),
    fixed(row.calmP99Ms, 2),
    ...(["calmP50Ms", "calmP99Ms"] as const).flatMap((percentile) => [
      fixed(added(row, percentile), 2),
      ratio(added(row, percentile), added(envoy, percentile)),
    ]),
  ];
}

function whole(value: number): string {
  return Math.round(value).toLocaleString("en");
}

function fixed(value: number | undefined, digits: number): string {
  return value?.toFixed(digits) ?? "-";
}

function ratio(value: number | undefined, base: number | undefined): string {
  return value === undefined || base === undefined ? "-" : (value / base).toFixed(2);
}
