import type { DirectResponseAction, Route } from "../../common/model/route.ts";
import type { Service } from "../http/layer.ts";
import { localResponse } from "./local-response.ts";

/** Answers with a fixed status and body (Istio's `directResponse`). A Content-Type comes from the route's response headers. */
export function directResponse(route: Route, action: DirectResponseAction): Service {
  // Istio's metrics know what REGISTRY_ONLY turned away by this cluster, although no cluster takes part.
  const cluster = route.name === "block_all" && route.source === undefined ? "BlackHoleCluster" : "";
  return async (exchange) => {
    if (cluster !== "") exchange.cluster = cluster;
    return localResponse(exchange, "direct_response", action.status, [], action.body);
  };
}
