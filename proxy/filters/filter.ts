import type { Clock } from "../../common/base/clock.ts";
import type { Random } from "../../common/base/random.ts";
import type { Route } from "../../common/model/route.ts";
import type { Layer, Service } from "../http/layer.ts";

/** What filters may use besides the exchange; given once, when a route is compiled. */
export interface FilterContext {
  readonly clock: Clock;
  readonly random: Random;
  /** Sends to a cluster: picks an endpoint per call, one attempt. The name is resolved now, the endpoints at each request. */
  upstream(cluster: string): Service;
}

/** One route feature. `build` returns undefined when the route does not use it, so a feature that is off costs nothing. */
export interface Filter {
  readonly name: string;
  build(route: Route, context: FilterContext): Layer | undefined;
}
