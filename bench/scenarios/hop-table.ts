import type { HopResult, HopRow } from "./hop.ts";

/** The hop scenario's result as people read it. Ratios are against Envoy in the same run: ×2 means twice as good. */
export function printHop({ rows, absent }: HopResult): string {
  const envoy = rows.find(({ peer }) => peer === "Envoy");
  const table = [header, ...rows.map((row) => cells(row, envoy))];
  const widths = header.map((_, column) => Math.max(...table.map((line) => line[column]!.length)));
  const lines = table.map((line) =>
    line
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)))
      .join("  "),
  );
  const notes = [
    ...rows.map(({ peer, version, does }) => `${peer}${version === "" ? "" : ` ${version}`}: ${does}`),
    ...absent.map(({ peer, why }) => `${peer} took no part: ${why}`),
  ];
  return [...lines, "", ...notes].join("\n");
}

const header: readonly string[] = [
  "",
  "requests/s",
  "× Envoy",
  "CPU µs/request",
  "requests/core·s",
  "× Envoy",
  "p50 ms",
  "p99 ms",
  "RSS MB",
  "private MB",
  "errors",
];

function cells(row: HopRow, envoy: HopRow | undefined): readonly string[] {
  return [
    row.peer,
    Math.round(row.requestsPerSecond).toLocaleString("en"),
    ratio(row.requestsPerSecond, envoy?.requestsPerSecond),
    row.cpuMicrosPerRequest?.toFixed(1) ?? "-",
    row.requestsPerCoreSecond === undefined
      ? "-"
      : Math.round(row.requestsPerCoreSecond).toLocaleString("en"),
    ratio(row.requestsPerCoreSecond, envoy?.requestsPerCoreSecond),
    row.p50Ms.toFixed(2),
    row.p99Ms.toFixed(2),
    row.rssMb?.toFixed(0) ?? "-",
    row.privateMb?.toFixed(0) ?? "-",
    String(row.errors),
  ];
}

function ratio(value: number | undefined, base: number | undefined): string {
  return value === undefined || base === undefined ? "-" : (value / base).toFixed(2);
}
