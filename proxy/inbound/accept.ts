import type { HttpFilterChain } from "../../common/model/listener.ts";
import type { BuildTarget } from "../../common/routing/route-table.ts";
import { compileRoutes } from "../../common/routing/route-table.ts";
import type { AccessParts } from "../filters/access.ts";
import { controlAccess } from "../filters/access.ts";
import { normalizePath } from "../filters/normalize-path.ts";
import type { Service } from "../http/layer.ts";
import type { InboundParts } from "./stack.ts";
import { inboundStack } from "./stack.ts";

export interface InboundAcceptParts extends Omit<InboundParts, "routes" | "normalize" | "access"> {
  readonly access: AccessParts;
  readonly build: BuildTarget<Service>;
}

/** Makes the stack that answers the connections of an inbound filter chain. Its routes come with it, so a change makes a new stack. */
export function acceptInbound(
  chain: HttpFilterChain,
  { build, access, ...parts }: InboundAcceptParts,
): Service {
  const { http } = chain;
  const source = http.routes;
  const configuration =
    source.kind === "inline"
      ? source.configuration
      : { name: source.routeConfigName, virtualHosts: [], vhds: false };
  return inboundStack({
    ...parts,
    normalize: normalizePath(http.path),
    access: controlAccess(http.access, access),
    routes: compileRoutes(configuration, build),
  });
}
