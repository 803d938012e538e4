import type { AccessPolicy, AccessRules } from "../../common/model/authorization.ts";
import { CompiledRules } from "../../common/routing/access-decision.ts";
import type { AccessSubject } from "../../common/routing/access-subject.ts";
import { refusal } from "../../common/routing/explain-access.ts";
import type { MeshError } from "../errors.ts";
import { meshError } from "../errors.ts";
import type { Layer } from "../http/layer.ts";
import type { AccessCounts } from "./access-counts.ts";
import { RequestSubject } from "./request-subject.ts";

/** Why somebody is kept out. */
export interface Denial {
  /** Envoy's RESPONSE_CODE_DETAILS. */
  readonly detail: string;
  /** For the access log: the policy, or what came nearest to letting it in. */
  readonly why: string;
}

/** The rules of a chain made ready, in their order. */
export class Authorizer {
  readonly #rules: readonly CompiledRules[];
  readonly #counts: AccessCounts;

  /** Throws RegexError. */
  constructor(rules: readonly AccessRules[], counts: AccessCounts) {
    this.#rules = rules.map((one) => new CompiledRules(one));
    this.#counts = counts;
  }

  /** Undefined when nothing keeps the subject out. */
  judge(subject: AccessSubject): Denial | undefined {
    let allowedBy: AccessPolicy | undefined;
    for (const compiled of this.#rules) {
      const { action, isDryRun } = compiled.rules;
      const { isAllowed, policy } = compiled.decide(subject);
      if (isDryRun === true) this.#counts.add(isAllowed ? "shadow_allowed" : "shadow_denied", policy?.name);
      else if (action === "log") {
        if (policy !== undefined) this.#counts.add("audited", policy.name);
      } else if (!isAllowed) {
        this.#counts.add("denied", policy?.name);
        return denial(compiled, subject, policy);
      } else if (action === "allow") allowedBy = policy;
    }
    this.#counts.add("allowed", allowedBy?.name);
    return undefined;
  }
}

/**
 * Lets requests pass or answers 403 `RBAC: access denied` (Envoy's RBAC filter), asked before a route is chosen. A matcher that fails is no
 * reason to let anybody in.
 */
export function authorize(rules: readonly AccessRules[], counts: AccessCounts): Layer {
  if (rules.length === 0) return (next) => next;
  const authorizer = new Authorizer(rules, counts);
  return (next) => (exchange) => {
    const denied = authorizer.judge(new RequestSubject(exchange));
    if (denied === undefined) return next(exchange);
    exchange.denial = denied.why;
    return Promise.reject(accessDenied(denied));
  };
}

export function accessDenied({ detail }: Denial): MeshError {
  return meshError("access_denied", detail);
}

function denial(compiled: CompiledRules, subject: AccessSubject, policy: AccessPolicy | undefined): Denial {
  const detail = `rbac_access_denied_matched_policy[${policy?.name ?? "none"}]`;
  return { detail, why: refusal(compiled, subject, policy) };
}
