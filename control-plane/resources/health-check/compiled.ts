import type { HealthCheck } from "../../../common/model/health-check.ts";
import type { ServiceReference } from "../../../common/model/service.ts";

export interface CompiledHealthCheck {
  readonly kind: "HealthCheck";
  readonly target: CheckTarget;
}

/** A service of the check's own namespace, and how its endpoints are asked. */
export interface CheckTarget extends ServiceReference {
  readonly check: CheckPolicy;
}

/** Where it does not say how many endpoints must be left, outlier detection may. */
export type CheckPolicy = Omit<HealthCheck, "minHealthPercent"> &
  Partial<Pick<HealthCheck, "minHealthPercent">>;
