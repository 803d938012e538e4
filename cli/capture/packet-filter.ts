import { spawn } from "node:child_process";
import { constants } from "node:os";
import { CliError } from "../cli-error.ts";
import { iptablesScript } from "./iptables.ts";
import type { NftFamily } from "./nftables.ts";
import { nftablesScript } from "./nftables.ts";
import type { CaptureRule } from "./rules.ts";

/** Rules for each address family; an empty list takes what stands away. */
export interface FamilyRules {
  readonly ipv4: readonly CaptureRule[];
  /** Undefined: IPv6 is not touched. */
  readonly ipv6: readonly CaptureRule[] | undefined;
}

/** What one program is given. */
export interface Step {
  readonly program: string;
  readonly args: readonly string[];
  readonly input: string;
}

export type PacketFilter = "iptables" | "nftables";

/** The filter that this machine has; iptables when it has both, as the other rules of a pod are most often made by it. */
export async function findPacketFilter(): Promise<PacketFilter> {
  if (await exists("iptables-restore")) return "iptables";
  if (await exists("nft")) return "nftables";
  throw new CliError(
    1,
    "weft capture: neither iptables nor nft is on the PATH (hint: install the package iptables or nftables)",
  );
}

/** What to run, in order, so that these rules and no others of ours stand. Reads what stands now. */
export async function stepsFor(filter: PacketFilter, rules: FamilyRules): Promise<readonly Step[]> {
  if (filter === "nftables") {
    const families: NftFamily[] = rules.ipv6 === undefined ? ["ip"] : ["ip", "ip6"];
    const input = nftablesScript(
      new Map([
        ["ip", rules.ipv4],
        ["ip6", rules.ipv6 ?? []],
      ]),
      families,
    );
    return [{ program: "nft", args: ["--file", "-"], input }];
  }
  const families = [
    { prefix: "iptables", rules: rules.ipv4 },
    ...(rules.ipv6 === undefined ? [] : [{ prefix: "ip6tables", rules: rules.ipv6 }]),
  ];
  return Promise.all(
    families.map(async ({ prefix, rules: familyRules }) => {
      const before = await run({ program: `${prefix}-save`, args: ["-t", "nat"], input: "" });
      return {
        program: `${prefix}-restore`,
        args: ["--noflush", "--wait", "10"],
        input: iptablesScript(familyRules, before),
      };
    }),
  );
}

/** Answers what the program printed. Rejects with CliError that says what it complained of. */
export async function run({ program, args, input }: Step): Promise<string> {
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
  let output = "";
  let complaint = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaint += text;
  });
  const ended = new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)));
  });
  // It may end before it has read everything; why, it says itself.
  child.stdin.on("error", () => {}).end(input);
  const code = await ended.catch((error: NodeJS.ErrnoException) => {
    throw new CliError(1, `weft capture: cannot run ${program}: ${error.message}`);
  });
  if (code === 0) return output;
  const isForbidden = /permission denied|operation not permitted|you must be root/i.test(complaint);
  const hint = isForbidden ? " (hint: it needs root, or the capability NET_ADMIN)" : "";
  throw new CliError(1, `weft capture: ${program} ended with ${code}: ${complaint.trim()}${hint}`);
}

async function exists(program: string): Promise<boolean> {
  return run({ program, args: ["--version"], input: "" }).then(
    () => true,
    () => false,
  );
}
