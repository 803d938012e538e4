import type { Command } from "commander";
import { parseDuration } from "../common/base/duration.ts";
import type { SettledView } from "../common/model/mesh-status.ts";
import { CliError, wrongUse } from "./cli-error.ts";

export interface WaitOptions {
  readonly wait: boolean;
  readonly timeout: string;
}

/** `--wait` and `--timeout`, for verbs that change the mesh. */
export function addWaitOptions(command: Command): Command {
  return command
    .option("--wait", "return when every subscribed proxy has accepted the change", false)
    .option("--timeout <duration>", "how long --wait waits", "30s");
}

/** ms to wait, 0 for not at all. */
export function waitMs(verb: string, { wait, timeout }: WaitOptions): number {
  const parsed = parseDuration(timeout);
  if (!parsed.ok)
    throw wrongUse(`weft ${verb}: --timeout ${parsed.why}${parsed.hint ? `; ${parsed.hint}` : ""}`);
  return wait ? parsed.ms : 0;
}

/** One line on how the proxies took it; a CliError when one refused it or has not answered in time. */
export function describeSettled({ complete, accepted, refused, waitingFor, ms }: SettledView): string {
  const total = accepted + refused.length + waitingFor.length;
  if (total === 0) return "no proxy is connected, so nothing runs it yet";
  const summary = `${accepted} of ${total} ${total === 1 ? "proxy runs" : "proxies run"} it after ${Math.round(ms)} ms`;
  if (complete && refused.length === 0) return summary;
  const lines = [
    ...refused.map(({ proxy, names, why }) => `${proxy} refused ${names.join(", ") || "it"}: ${why}`),
    ...(waitingFor.length === 0 ? [] : [`no answer yet from ${waitingFor.join(", ")}`]),
  ];
  throw new CliError(1, [summary, ...lines].join("\n"));
}
