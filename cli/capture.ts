import { Command } from "commander";
import type { CaptureOptions } from "./capture/capture-settings.ts";
import { readCaptureSettings } from "./capture/capture-settings.ts";
import { findPacketFilter, run, stepsFor } from "./capture/packet-filter.ts";
import { captureRules } from "./capture/rules.ts";
import { CliError, invalidInput } from "./cli-error.ts";

interface CaptureVerbOptions extends CaptureOptions {
  readonly remove: boolean;
  readonly dryRun: boolean;
  readonly filter?: string;
}

/** `weft capture` */
export function captureCommand(): Command {
  return new Command("capture")
    .description(
      "send this machine's or pod's connections through its sidecar: writes rules of iptables, or of nftables where there is none (Linux, root)",
    )
    .option("--outbound-port <port>", "where the sidecar takes outbound connections", "15001")
    .option("--inbound-port <port>", "where the sidecar takes inbound connections", "15006")
    .option("--proxy-uid <uids>", "users whose connections are left alone: the sidecar's", "1337")
    .option("--proxy-gid <gids>", "groups whose connections are left alone", "1337")
    .option("--inbound-ports <ports>", "ports to capture, * for all", "*")
    .option("--exclude-inbound-ports <ports>", "ports to leave alone, with * above", "")
    .option("--outbound-cidrs <cidrs>", "destinations to capture, * for all", "*")
    .option("--exclude-outbound-cidrs <cidrs>", "destinations to leave alone", "")
    .option("--outbound-ports <ports>", "ports to capture wherever they lead", "")
    .option("--exclude-outbound-ports <ports>", "ports to leave alone wherever they lead", "")
    .option("--exclude-interfaces <names>", "network interfaces to leave alone", "")
    .option("--virtual-interfaces <names>", "interfaces of virtual machines, whose traffic is outbound", "")
    .option("--dns", "send DNS questions to the sidecar too", false)
    .option("--dns-port <port>", "where the sidecar takes DNS questions", "15053")
    .option("--no-ipv6", "leave IPv6 alone")
    .option("--filter <name>", "iptables or nftables (default: what is installed)")
    .option("--remove", "take the rules away", false)
    .option("--dry-run", "print what would be done", false)
    .action(capture);
}

async function capture(options: CaptureVerbOptions): Promise<void> {
  const settings = readCaptureSettings(options);
  if (!settings.ok) throw invalidInput(settings.problems);
  const { filter = await findPacketFilter() } = options;
  if (filter !== "iptables" && filter !== "nftables")
    throw new CliError(2, `weft capture: --filter ${filter}: there are iptables and nftables`);
  const rulesFor = (family: "ipv4" | "ipv6") => (options.remove ? [] : captureRules(settings.value, family));
  const steps = await stepsFor(filter, {
    ipv4: rulesFor("ipv4"),
    ipv6: options.ipv6 ? rulesFor("ipv6") : undefined,
  });
  for (const step of steps) {
    if (options.dryRun) process.stdout.write(`# ${[step.program, ...step.args].join(" ")}\n${step.input}`);
    else await run(step);
  }
}
