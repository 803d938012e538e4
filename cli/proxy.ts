import { Command } from "commander";
import type { ProxyOptions } from "../proxy/config.ts";
import { proxyOptions } from "./proxy-arguments.ts";
import { runSidecarOrGateway } from "./run-proxy.ts";

/** `weft proxy`: a sidecar beside one workload. */
export function proxyCommand(): Command {
  return addProxyOptions(
    new Command("proxy").description("run a sidecar beside one workload"),
    "proxy",
  ).action((options: Omit<ProxyOptions, "kind">) => runSidecarOrGateway({ ...options, kind: "sidecar" }));
}

/** Gives the command the verb's options, for help and for what to say about mistakes; a right line goes another way (proxy-arguments.ts). */
export function addProxyOptions(command: Command, verb: "proxy" | "gateway"): Command {
  for (const { flags, description, isRequired, mayRepeat } of proxyOptions[verb]) {
    if (isRequired) command.requiredOption(flags, description);
    else if (mayRepeat)
      command.option(
        flags,
        description,
        (value: string, before: readonly string[]) => [...before, value],
        [] as readonly string[],
      );
    else command.option(flags, description);
  }
  return command;
}
