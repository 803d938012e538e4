import type { CaptureRule } from "./rules.ts";
import { ownChains } from "./rules.ts";

export type NftFamily = "ip" | "ip6";

/** The input of `nft --file -`: one transaction that replaces our tables, or takes them away. */
export function nftablesScript(
  rulesOf: ReadonlyMap<NftFamily, readonly CaptureRule[]>,
  families: readonly NftFamily[],
): string {
  const lines = families.flatMap((family) => {
    const table = `${family} weft`;
    const rules = rulesOf.get(family) ?? [];
    // "add" first, so that "delete" finds one to delete.
    const gone = [`add table ${table}`, `delete table ${table}`];
    if (rules.length === 0) return gone;
    return [
      ...gone,
      `add table ${table}`,
      `add chain ${table} PREROUTING { type nat hook prerouting priority dstnat; policy accept; }`,
      `add chain ${table} OUTPUT { type nat hook output priority -100; policy accept; }`,
      ...ownChains.map((chain) => `add chain ${table} ${chain}`),
      ...rules.map((rule) => `add rule ${table} ${nftRule(rule, family)}`),
    ];
  });
  return `${lines.join("\n")}\n`;
}

/** `WEFT_OUTBOUND oifname "lo" meta l4proto tcp meta skuid 1337 return` */
export function nftRule(rule: CaptureRule, family: NftFamily): string {
  const { protocol, inInterface, outInterface, source, destination, isNotDestination } = rule;
  const { destinationPort, isNotDestinationPort, owner, verdict } = rule;
  const words: string[] = [rule.chain];
  if (inInterface !== undefined) words.push(`iifname "${inInterface}"`);
  if (outInterface !== undefined) words.push(`oifname "${outInterface}"`);
  if (source !== undefined) words.push(`${family} saddr ${source}`);
  if (destination !== undefined) words.push(`${family} daddr ${destination}`);
  if (isNotDestination !== undefined) words.push(`${family} daddr != ${isNotDestination}`);
  if (protocol !== undefined) words.push(`meta l4proto ${protocol}`);
  if (destinationPort !== undefined) {
    const { from, to } = destinationPort;
    words.push(`${protocol} dport ${from === to ? from : `${from}-${to}`}`);
  }
  if (isNotDestinationPort !== undefined) words.push(`${protocol} dport != ${isNotDestinationPort}`);
  if (owner !== undefined) words.push(`meta sk${owner.kind} ${owner.id}`);
  switch (verdict.kind) {
    case "return":
      words.push("return");
      break;
    case "jump":
      words.push(`jump ${verdict.to}`);
      break;
    case "redirect":
      words.push(`redirect to :${verdict.port}`);
  }
  return words.join(" ");
}
