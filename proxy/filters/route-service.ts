import type { Route } from "../../common/model/route.ts";
import type { Service } from "../http/layer.ts";
import { compose } from "../http/layer.ts";
import { directResponse } from "./direct-response.ts";
import type { Filter, FilterContext } from "./filter.ts";
import { filtersAfterSplit, filtersBeforeSplit } from "./order.ts";
import { redirect } from "./redirect.ts";
import { split } from "./split.ts";

/**
 * Everything that happens to a request after its route was chosen, as one ready function. Made when routes are compiled. Throws
 * RegexError when a pattern of the route is refused.
 */
export function buildRouteService(route: Route, context: FilterContext): Service {
  const { action } = route;
  switch (action.kind) {
    case "forward": {
      const forward = split(action.destinations, context, (destination) =>
        stack(
          filtersAfterSplit,
          route,
          { ...context, destination },
          context.upstream(destination.destination),
        ),
      );
      return stack(filtersBeforeSplit, route, context, forward);
    }
    case "redirect":
      return answerHere(route, context, redirect(route, action));
    case "direct-response":
      return answerHere(route, context, directResponse(route, action));
  }
}

/** The way ends here; headers, CORS and faults apply as they would on the way to a destination. */
function answerHere(route: Route, context: FilterContext, answer: Service): Service {
  return stack([...filtersBeforeSplit, ...filtersAfterSplit], route, context, answer);
}

function stack(filters: readonly Filter[], route: Route, context: FilterContext, last: Service): Service {
  const layers = filters.flatMap((filter) => filter.build(route, context) ?? []);
  return compose(layers, last);
}
