import type { RedirectAction, Route } from "../../common/model/route.ts";
import { compileLocation } from "../../common/routing/redirect-location.ts";
import type { Service } from "../http/layer.ts";
import { localResponse } from "./local-response.ts";

/** Answers with a Location instead of forwarding (Istio's `redirect`). */
export function redirect(route: Route, action: RedirectAction): Service {
  const locate = compileLocation(route.match.path, action);
  return async (exchange) =>
    localResponse(exchange, "direct_response", action.status, ["location", locate(exchange)]);
}
