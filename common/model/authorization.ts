import type { JwtAuthentication } from "./authentication.ts";
import type { ExternalAuthorization } from "./external-authorization.ts";
import type { Source } from "./source.ts";

/** Who may send requests or open connections; judged in the order of the fields, as Istio orders its filters. */
export interface AccessControl {
  /** HTTP only. */
  readonly jwt?: JwtAuthentication;
  /** Somebody else is asked (Istio's CUSTOM); all must allow it. */
  readonly external?: readonly ExternalAuthorization[];
  /** Each is asked in turn, the first that refuses ends the request. */
  readonly rules: readonly AccessRules[];
}

/**
 * Envoy's RBAC. `deny` refuses what a policy matches, `allow` what none matches, `log` refuses nothing and notes the policy (Istio's
 * AUDIT). `isDryRun`: counted and noted only (Envoy's shadow_rules).
 */
export interface AccessRules {
  readonly action: "allow" | "deny" | "log";
  readonly policies: readonly AccessPolicy[];
  readonly isDryRun?: boolean;
}

/** Matches when any of `permissions` and any of `principals` holds. One rule of an AuthorizationPolicy. */
export interface AccessPolicy {
  /** Istio's form: `ns[shop]-policy[viewer]-rule[0]`. Unique in its rules. */
  readonly name: string;
  readonly source?: Source;
  /** What is done. */
  readonly permissions: readonly AccessTest[];
  /** Who does it. */
  readonly principals: readonly AccessTest[];
}

/** A question about a connection or request. One about HTTP is answered with no where there is none. */
export type AccessTest =
  | { readonly kind: "any" }
  | { readonly kind: "and" | "or"; readonly tests: readonly AccessTest[] }
  | { readonly kind: "not"; readonly test: AccessTest }
  /** `name` is lower case; `:method` and `:authority` are those of the request. */
  | { readonly kind: "header"; readonly name: string; readonly match: TextMatch }
  /** Without the query. */
  | { readonly kind: "path"; readonly match: TextMatch }
  /** Istio's `{*}` (one segment) and `{**}` (any number of them). */
  | { readonly kind: "path-template"; readonly template: string }
  | { readonly kind: "destination-port"; readonly port: number }
  | { readonly kind: "destination-ip" | "source-ip" | "remote-ip"; readonly cidr: string }
  | { readonly kind: "server-name"; readonly match: TextMatch }
  /** The SPIFFE ID that the peer proved, with `spiffe://`. */
  | { readonly kind: "principal"; readonly match: TextMatch }
  | { readonly kind: "source-namespace"; readonly match: TextMatch }
  | { readonly kind: "service-account"; readonly namespace: string; readonly name: string }
  /** A claim of the verified token; one whose value is a list matches when an element does. */
  | { readonly kind: "claim"; readonly path: readonly string[]; readonly matches: readonly TextMatch[] };

/** `present`: there is a value and it is not empty. Regexes are RE2, full match. */
export type TextMatch =
  | {
      readonly kind: "exact" | "prefix" | "suffix" | "contains";
      readonly value: string;
      readonly ignoreCase?: boolean;
    }
  | { readonly kind: "regex"; readonly value: string }
  | { readonly kind: "present" };

/** Every question inside of one, itself included. */
export function* testsIn(test: AccessTest): Iterable<AccessTest> {
  yield test;
  if (test.kind === "not") yield* testsIn(test.test);
  if (test.kind === "and" || test.kind === "or") for (const inner of test.tests) yield* testsIn(inner);
}
