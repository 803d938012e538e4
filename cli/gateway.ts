import { Command } from "commander";
import type { ProxyOptions } from "../proxy/config.ts";
import { addProxyOptions, runSidecarOrGateway } from "./proxy.ts";

/** `weft gateway`: a proxy at the edge, which opens what Gateway resources with matching selectors ask for. */
export function gatewayCommand(): Command {
  return addProxyOptions(new Command("gateway").description("run a gateway at the edge of the mesh"))
    .option(
      "--bind <serverport=host:port>",
      "open the server port of a Gateway resource here; may be repeated",
      (value: string, before: readonly string[]) => [...before, value],
      [],
    )
    .action((options: Omit<ProxyOptions, "kind">) => runSidecarOrGateway({ ...options, kind: "gateway" }));
}
