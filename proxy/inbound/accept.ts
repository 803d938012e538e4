import type { HttpFilterChain } from "../../common/model/listener.ts";
import type { BuildTarget } from "../../common/routing/route-table.ts";
import { compileRoutes } from "../../common/routing/route-table.ts";
import type { Service } from "../http/layer.ts";
import type { InboundParts } from "./stack.ts";
import { inboundStack } from "./stack.ts";

export interface InboundAcceptParts extends Omit<InboundParts, "routes"> {
  readonly build: BuildTarget<Service>;
}

/** Makes the stack that answers the connections of an inbound filter chain. Its routes come with it, so a change makes a new stack. */
export function acceptInbound(chain: HttpFilterChain, { build, ...parts }: InboundAcceptParts): Service {
  const source = chain.http.routes;
  const configuration =
    source.kind === "inline"
      ? source.configuration
      : { name: source.routeConfigName, virtualHosts: [], vhds: false };
  return inboundStack({ ...parts, routes: compileRoutes(configuration, build) });
}
