import type { AccessTest } from "../../../common/model/authorization.ts";
import type { Labels } from "../../../common/model/endpoint.ts";
import type { Source } from "../../../common/model/source.ts";

/** An AuthorizationPolicy whose fields became questions; what they mean together depends on action and protocol. */
export interface CompiledAuthorizationPolicy {
  readonly kind: "AuthorizationPolicy";
  /** Empty: all workloads of its namespace. */
  readonly selector: Labels;
  readonly action: "allow" | "deny" | "audit" | "custom";
  /** Of `custom`. */
  readonly provider?: string;
  /** Istio's annotation istio.io/dry-run. */
  readonly isDryRun: boolean;
  readonly rules: readonly CompiledAccessRule[];
}

export interface CompiledAccessRule {
  /** `ns[shop]-policy[viewer]-rule[0]` */
  readonly name: string;
  readonly source: Source;
  /** Any of them must hold, each with all of its fields; never empty. */
  readonly principals: readonly (readonly AccessField[])[];
  readonly permissions: readonly (readonly AccessField[])[];
}

/** One field of a policy with its `not` twin. */
export interface AccessField {
  /** As its author knows it, such as `paths` or `request.headers[x]`. */
  readonly name: string;
  /** It has no meaning on a connection whose bytes nobody reads. */
  readonly isHttp: boolean;
  /** One must hold; empty: nothing is asked. */
  readonly values: readonly AccessTest[];
  /** None may hold. */
  readonly notValues: readonly AccessTest[];
}
