import type { RouteTable } from "../../common/routing/route-table.ts";
import { meshError } from "../errors.ts";
import type { Service } from "../http/layer.ts";

/** Finds the port's route to the app. The table came with the listener and changes only with it. */
export function pickRoute(table: RouteTable<Service>): Service {
  return (exchange) => {
    const decision = table.match(exchange);
    if (decision === undefined) return Promise.reject(meshError("no_route", "route_not_found"));
    exchange.route = decision.route;
    return decision.target(exchange);
  };
}
