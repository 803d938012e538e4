import { formatProblem } from "../common/base/problem.ts";
import type { ProxyOptions } from "../proxy/config.ts";
import { wrongUse } from "./cli-error.ts";
import { writeCompileCacheSoon } from "./compile-cache.ts";
import { setProxyV8Flags } from "./v8-flags.ts";

/** Runs a sidecar or gateway until it is asked to end. The proxy's code is loaded here, so that other verbs start without it. */
export async function runSidecarOrGateway(options: ProxyOptions): Promise<void> {
  setProxyV8Flags();
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
