import { execFile } from "node:child_process";
import { readdir, readFile, readlink } from "node:fs/promises";
import { createServer } from "node:net";
import { promisify } from "node:util";
import type { PlannedPort } from "./port-plan.ts";

/** A planned port that somebody else has, and who, as far as this user may see it. */
export interface TakenPort extends PlannedPort {
  /** `pid 4711 (node server.js)` */
  readonly holder?: string;
}

/** The ports of a plan that cannot be opened on loopback, in the plan's order. */
export async function takenPorts(ports: readonly PlannedPort[]): Promise<readonly TakenPort[]> {
  const taken: TakenPort[] = [];
  for (const planned of ports) {
    if (await canListen(planned.port)) continue;
    const holder = await holderOf(planned.port).catch(() => undefined);
    taken.push(holder === undefined ? planned : { ...planned, holder });
  }
  return taken;
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen({ port, host: "127.0.0.1", exclusive: true }, () => probe.close(() => resolve(true)));
  });
}

async function holderOf(port: number): Promise<string | undefined> {
  return process.platform === "linux" ? holderFromProc(port) : holderFromLsof(port);
}

/** Linux: the listening socket's inode is in /proc/net/tcp, and its owner has a descriptor `socket:[inode]`. */
async function holderFromProc(port: number): Promise<string | undefined> {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const tables = await Promise.all(
    ["tcp", "tcp6"].map((name) => readFile(`/proc/net/${name}`, "utf8").catch(() => "")),
  );
  const rows = tables.flatMap((table) => table.split("\n")).map((row) => row.trim().split(/\s+/));
  const listening = "0A";
  const inodes = rows
    .filter((fields) => fields[1]?.endsWith(wanted) && fields[3] === listening)
    .map((fields) => `socket:[${fields[9]}]`);
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
    for (const descriptor of descriptors) {
      const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => "");
      if (!inodes.includes(target)) continue;
      const command = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).replaceAll("\0", " ");
      return describe(pid, command);
    }
  }
  return undefined;
}

async function holderFromLsof(port: number): Promise<string | undefined> {
  const run = promisify(execFile);
  const pid = (await run("lsof", ["-nP", "-t", `-iTCP:${port}`, "-sTCP:LISTEN"])).stdout.split("\n")[0] ?? "";
  if (pid === "") return undefined;
  return describe(pid, (await run("ps", ["-o", "command=", "-p", pid])).stdout);
}

function describe(pid: string, command: string): string {
  const text = command.trim();
  return `pid ${pid}${text === "" ? "" : ` (${text.length > 100 ? `${text.slice(0, 100)}…` : text})`}`;
}
