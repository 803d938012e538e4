import type { Listener } from "../../common/model/listener.ts";
import type { Service } from "../http/layer.ts";
import type { RouteTables } from "./routes.ts";
import type { OutboundParts } from "./stack.ts";
import { gatewayStack, sidecarStack } from "./stack.ts";

export interface OutboundAcceptParts extends Omit<OutboundParts, "routes"> {
  readonly tables: RouteTables;
}

/** Chooses the stack that answers the connections of an outbound or gateway listener, and the routes that it reads. */
export function acceptOutbound(listener: Listener, { tables, ...parts }: OutboundAcceptParts): Service {
  // Today a listener has exactly one chain; captured traffic will choose by the connection here.
  const source = listener.filterChains[0]!.http.routes;
  const routes =
    source.kind === "rds" ? tables.obtain(source.routeConfigName) : tables.inline(source.configuration);
  const stack = listener.direction === "gateway" ? gatewayStack : sidecarStack;
  return stack({ ...parts, routes });
}
