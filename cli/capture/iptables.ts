import type { CaptureRule } from "./rules.ts";
import { ownChains } from "./rules.ts";

/**
 * The input of `iptables-restore --noflush`: it takes effect whole or not at all, and leaves others' rules alone.
 * @param rules none: takes ours away
 * @param before what `iptables-save -t nat` prints now
 */
export function iptablesScript(rules: readonly CaptureRule[], before: string): string {
  const present = new Set(
    before
      .split("\n")
      .filter((line) => line.startsWith(":"))
      .map((line) => line.slice(1).split(" ", 1)[0]),
  );
  const ours = before
    .split("\n")
    .filter((line) => /^-A (?:PREROUTING|OUTPUT) /.test(line) && line.includes(mark))
    .map((line) => line.replace(/^-A/, "-D"));
  const isEmpty = rules.length === 0;
  // To name a chain makes it, or empties it when it stands.
  const named = ownChains
    .filter((chain) => !isEmpty || present.has(chain))
    .map((chain) => `:${chain} - [0:0]`);
  const removed = isEmpty
    ? ownChains.filter((chain) => present.has(chain)).map((chain) => `-X ${chain}`)
    : [];
  return `${["*nat", ...named, ...ours, ...rules.map(iptablesLine), ...removed, "COMMIT"].join("\n")}\n`;
}

/** By this, rules in the kernel's own chains are known as ours. */
const mark = "weft-capture";

/** `-A WEFT_OUTBOUND -o lo -p tcp -m owner --uid-owner 1337 -j RETURN` */
export function iptablesLine(rule: CaptureRule): string {
  const { protocol, inInterface, outInterface, source, destination, isNotDestination } = rule;
  const { destinationPort, isNotDestinationPort, owner, verdict } = rule;
  const words = ["-A", rule.chain];
  if (source !== undefined) words.push("-s", source);
  if (destination !== undefined) words.push("-d", destination);
  if (isNotDestination !== undefined) words.push("!", "-d", isNotDestination);
  if (inInterface !== undefined) words.push("-i", inInterface);
  if (outInterface !== undefined) words.push("-o", outInterface);
  if (protocol !== undefined) words.push("-p", protocol);
  if (destinationPort !== undefined) {
    const { from, to } = destinationPort;
    words.push("--dport", from === to ? `${from}` : `${from}:${to}`);
  }
  if (isNotDestinationPort !== undefined) words.push("!", "--dport", `${isNotDestinationPort}`);
  if (owner !== undefined) words.push("-m", "owner", `--${owner.kind}-owner`, `${owner.id}`);
  if (!rule.chain.startsWith("WEFT_")) words.push("-m", "comment", "--comment", mark);
  switch (verdict.kind) {
    case "return":
      words.push("-j", "RETURN");
      break;
    case "jump":
      words.push("-j", verdict.to);
      break;
    case "redirect":
      words.push("-j", "REDIRECT", "--to-ports", `${verdict.port}`);
  }
  return words.join(" ");
}
