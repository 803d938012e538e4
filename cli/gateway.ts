import { Command } from "commander";
import type { ProxyOptions } from "../proxy/config.ts";
import { addProxyOptions } from "./proxy.ts";
import { runSidecarOrGateway } from "./run-proxy.ts";

/** `weft gateway`: a proxy at the edge, which opens what Gateway resources with matching selectors ask for. */
export function gatewayCommand(): Command {
  return addProxyOptions(
    new Command("gateway").description("run a gateway at the edge of the mesh"),
    "gateway",
  ).action((options: Omit<ProxyOptions, "kind">) => runSidecarOrGateway({ ...options, kind: "gateway" }));
}
