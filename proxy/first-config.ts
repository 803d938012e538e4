import type { Readiness } from "./admin/readiness.ts";
import type { ProxyConfig } from "./state/proxy-config.ts";

/**
 * Ready means: there are listeners, all that were accepted are open, and each route configuration that one names has arrived, with virtual
 * hosts when they come on their own. `isComplete`: the control plane has said all there is, even when that is no virtual host.
 */
export function noteProgress(
  readiness: Readiness,
  { received, routes }: ProxyConfig,
  isComplete: boolean,
): void {
  const chains = [...received.listener.values()].flatMap(({ value }) => value.filterChains);
  if (chains.length === 0) return;
  readiness.done("listeners");
  const hasRoutes = chains.every(({ http }) => {
    if (http === undefined || http.routes.kind === "inline") return true;
    const configuration = routes.get(http.routes.routeConfigName);
    return (
      configuration !== undefined &&
      (isComplete || !configuration.vhds || configuration.virtualHosts.length > 0)
    );
  });
  if (hasRoutes) readiness.done("first config");
}
