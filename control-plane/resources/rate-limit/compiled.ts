import type { Labels } from "../../../common/model/endpoint.ts";
import type { RateLimitRule } from "../../../common/model/rate-limit.ts";

export interface CompiledRateLimit {
  readonly kind: "RateLimit";
  readonly target: RateLimitTarget;
  readonly rules: readonly RateLimitRule[];
}

/** All lie in the namespace of the RateLimit. */
export type RateLimitTarget =
  | { readonly kind: "workloads"; readonly labels: Labels }
  | { readonly kind: "service"; readonly host: string }
  | { readonly kind: "gateway"; readonly name: string }
  | { readonly kind: "route"; readonly virtualService: string; readonly rule?: string };
