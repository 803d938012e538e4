import type { DirectResponseAction } from "../../common/model/route.ts";
import type { Service } from "../http/layer.ts";
import { localResponse } from "./local-response.ts";

/** Answers with a fixed status and body (Istio's `directResponse`). A Content-Type comes from the route's response headers. */
export function directResponse(action: DirectResponseAction): Service {
  return async (exchange) => localResponse(exchange, "direct_response", action.status, [], action.body);
}
