import { Command } from "commander";
import { formatProblem } from "../common/base/problem.ts";
import type { ProxyOptions } from "../proxy/config.ts";
import { wrongUse } from "./cli-error.ts";
import { writeCompileCacheSoon } from "./compile-cache.ts";

/** `weft proxy`: a sidecar beside one workload. */
export function proxyCommand(): Command {
  return addProxyOptions(new Command("proxy").description("run a sidecar beside one workload"))
    .option("--outbound <host:port>", "where the app sends what is for the mesh")
    .option("--inbound <host:port>", "where the mesh sends what is for the app (needs --app)")
    .option("--app <host:port>", "where the app listens")
    .action((options: Omit<ProxyOptions, "kind">) => runSidecarOrGateway({ ...options, kind: "sidecar" }));
}

/** The options that sidecars and gateways share. */
export function addProxyOptions(command: Command): Command {
  return command
    .requiredOption("--name <name>", "name of the workload")
    .option("--namespace <namespace>", "its namespace (default: default)")
    .option("--service-account <name>", "its service account (default: default)")
    .option("--labels <k=v,…>", "its labels")
    .option(
      "--control-plane <host:port>",
      "the control plane's xDS port; without it the last good config is used",
    )
    .option(
      "--admin <host:port>",
      "admin interface: /ready /config_dump /clusters /stats/prometheus /logging /drain",
    )
    .option("--state <dir>", "where the last good config is kept")
    .option("--access-log <off|short|text|json>", "write a line per request (env WEFT_ACCESS_LOG)")
    .option("--log-level <level>", "what to log (env WEFT_LOG_LEVEL)")
    .option("--log-format <text|json>", "how to log (env WEFT_LOG_FORMAT, default: json)")
    .option("--drain <duration>", "how long requests get to finish on SIGTERM (env WEFT_DRAIN, default: 5s)");
}

/** Runs a sidecar or gateway until it is asked to end. The proxy's code is loaded here, so that other verbs start without it. */
export async function runSidecarOrGateway(options: ProxyOptions): Promise<void> {
  const [{ runProxy }, { readProxySettings }] = await Promise.all([
    import("../proxy/app.ts"),
    import("../proxy/config.ts"),
  ]);
  const settings = readProxySettings(options);
  const verb = options.kind === "gateway" ? "gateway" : "proxy";
  if (!settings.ok) {
    throw wrongUse(settings.problems.map((problem) => `weft ${verb}: ${formatProblem(problem)}`).join("\n"));
  }
  writeCompileCacheSoon();
  process.exit(await runProxy(settings.value));
}
