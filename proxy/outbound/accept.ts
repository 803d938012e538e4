import type { HttpFilterChain, Listener } from "../../common/model/listener.ts";
import type { AccessParts } from "../filters/access.ts";
import { controlAccess } from "../filters/access.ts";
import { normalizePath } from "../filters/normalize-path.ts";
import type { Layer, Service } from "../http/layer.ts";
import { atTheEdge } from "./edge.ts";
import { refuseMisdirected } from "./misdirected.ts";
import type { RouteTables } from "./routes.ts";
import type { OutboundParts } from "./stack.ts";
import { gatewayStack, sidecarStack } from "./stack.ts";

export interface OutboundAcceptParts
  extends Omit<OutboundParts, "routes" | "misdirected" | "normalize" | "edge" | "access"> {
  readonly access: AccessParts;
  readonly tables: RouteTables;
}

/** Chooses the stack that answers the connections of a chain of an outbound or gateway listener, and the routes that it reads. */
export function acceptOutbound(
  listener: Listener,
  chain: HttpFilterChain,
  { tables, access, ...parts }: OutboundAcceptParts,
): Service {
  const source = chain.http.routes;
  const routes =
    source.kind === "rds" ? tables.obtain(source.routeConfigName) : tables.inline(source.configuration);
  const stack = listener.direction === "gateway" ? gatewayStack : sidecarStack;
  const misdirected = chain.tls === undefined ? pass : refuseMisdirected(chain, listener.filterChains);
  return stack({
    ...parts,
    routes,
    misdirected,
    normalize: normalizePath(chain.http.path),
    edge: atTheEdge(chain.http.edge),
    access: controlAccess(chain.http.access, access),
  });
}

const pass: Layer = (next) => next;
