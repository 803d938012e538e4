import { readFileSync } from "node:fs";

/** What a process has used so far, all its threads together. */
export interface ProcessUsage {
  /** User and system CPU time in µs, in steps of 10 ms. */
  readonly cpuMicros: number;
  /** Resident memory in bytes, and the part that it shares with nobody. */
  readonly rssBytes: number;
  readonly privateBytes: number;
}

/** Reads /proc; undefined where there is none (macOS). Throws when the process has ended. */
export function processUsage(pid: number): ProcessUsage | undefined {
  if (process.platform !== "linux") return undefined;
  // The second field is the program's name in parentheses and may hold spaces; counting starts behind it.
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]);
  const memory = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const kilobytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(memory)?.[1] ?? 0);
  return {
    cpuMicros: ticks * 10_000,
    rssBytes: kilobytes("Rss") * 1024,
    privateBytes: (kilobytes("Private_Clean") + kilobytes("Private_Dirty")) * 1024,
  };
}

/** What several have used together; undefined for none of them. */
export function processesUsage(pids: readonly number[]): ProcessUsage | undefined {
  let sum: ProcessUsage | undefined;
  for (const pid of pids) {
    const one = processUsage(pid);
    if (one === undefined) return undefined;
    const { cpuMicros = 0, rssBytes = 0, privateBytes = 0 } = sum ?? {};
    sum = {
      cpuMicros: cpuMicros + one.cpuMicros,
      rssBytes: rssBytes + one.rssBytes,
      privateBytes: privateBytes + one.privateBytes,
    };
  }
  return sum;
}
