import type { Clock } from "../../common/base/clock.ts";
import type { Random } from "../../common/base/random.ts";
import type { Route, WeightedDestination } from "../../common/model/route.ts";
import type { Layer, Service } from "../http/layer.ts";
import type { ActiveFaults } from "./active-faults.ts";
import type { CircuitSet } from "./circuit-set.ts";
import type { LimiterSet } from "./limiter-set.ts";
import type { NestedRetries } from "./nested-retries.ts";
import type { RetryBudget } from "./retry-budget.ts";

/** What filters may use besides the exchange; given once, when a route is compiled. */
export interface FilterContext {
  readonly clock: Clock;
  readonly random: Random;
  /** Sends to a cluster: picks an endpoint per call, one attempt. The name is resolved now, the endpoints at each request. */
  upstream(cluster: string): Service;
  /** The destination that was picked, for the filters after the split. */
  readonly destination?: WeightedDestination;
  /** Retries of all routes to a cluster share its budget; absent in tests where each route may have its own. */
  readonly retryBudget?: (cluster: string) => RetryBudget;
  /** What the hops before and after this one do about retries; `direction` says on which side of the workload the route lies. */
  readonly nested?: { readonly direction: "inbound" | "outbound"; readonly retries: NestedRetries };
  /** The proxy's circuits; absent in tests that need none to outlive a route. */
  readonly circuits?: CircuitSet;
  /** The proxy's injected faults; as above. */
  readonly faults?: ActiveFaults;
  /** The proxy's rate limits; as above. */
  readonly limiters?: LimiterSet;
  /** Whoever counts; absent in tests that do not care. */
  readonly events?: FilterEvents;
}

/** What filters tell the metrics. Called on the data path: count and return. */
export interface FilterEvents {
  /** Another attempt is about to be made (`weft_retry_total`). `reason`: Envoy's word, such as "connect-failure" or "5xx". */
  retried(cluster: string, reason: string): void;
  /** A copy was not sent or broke off because the mirror could not keep up (`weft_mirror_dropped_total`). */
  mirrorDropped(cluster: string): void;
}

/** One route feature. `build` returns undefined when the route does not use it, so a feature that is off costs nothing. */
export interface Filter {
  readonly name: string;
  build(route: Route, context: FilterContext): Layer | undefined;
}
