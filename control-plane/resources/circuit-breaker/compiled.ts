import type { CircuitBreakerPolicy } from "../../../common/model/circuit-breaker.ts";
import type { ServiceReference } from "../../../common/model/service.ts";

export interface CompiledCircuitBreaker {
  readonly kind: "CircuitBreaker";
  readonly target: BreakerTarget;
  readonly policy: CircuitBreakerPolicy<ServiceReference>;
}

/** Both lie in the breaker's own namespace. */
export type BreakerTarget =
  | ({ readonly kind: "service" } & ServiceReference)
  | {
      readonly kind: "route";
      readonly virtualService: string;
      /** Name of an http rule; absent: all of them. */
      readonly rule?: string;
    };
