import type { AccessPolicy, AccessRules } from "../model/authorization.ts";
import type { AccessPredicate } from "./access-predicate.ts";
import { compileAccessTest } from "./access-predicate.ts";
import type { AccessSubject } from "./access-subject.ts";
import { RegexError } from "./regex.ts";

/** A policy made ready. */
export class CompiledPolicy {
  readonly policy: AccessPolicy;
  readonly #permissions: readonly AccessPredicate[];
  readonly #principals: readonly AccessPredicate[];

  /** `isStrict`: as for `compileAccessTest`. Throws RegexError that names the policy. */
  constructor(policy: AccessPolicy, isStrict: boolean) {
    this.policy = policy;
    try {
      this.#permissions = policy.permissions.map((test) => compileAccessTest(test, isStrict));
      this.#principals = policy.principals.map((test) => compileAccessTest(test, isStrict));
    } catch (thrown) {
      if (thrown instanceof RegexError) throw new RegexError(`policy ${policy.name}: ${thrown.message}`);
      throw thrown;
    }
  }

  matches(subject: AccessSubject): boolean {
    return anyHolds(this.#permissions, subject) && anyHolds(this.#principals, subject);
  }

  /** The first question that fails, in words; undefined when the policy matches. */
  failure(subject: AccessSubject): string | undefined {
    return nearestFailure(this.#principals, subject) ?? nearestFailure(this.#permissions, subject);
  }

  /** Of "what" and "who", how many hold: what tells the nearest of several that failed. */
  nearness(subject: AccessSubject): number {
    return Number(anyHolds(this.#permissions, subject)) * 2 + Number(anyHolds(this.#principals, subject));
  }
}

/** What rules say to a subject. */
export interface AccessVerdict {
  readonly isAllowed: boolean;
  /** The policy that matched; absent: none. */
  readonly policy?: AccessPolicy;
}

/** The rules of one kind made ready. */
export class CompiledRules {
  readonly rules: AccessRules;
  readonly policies: readonly CompiledPolicy[];
  readonly #none: AccessVerdict;
  readonly #matched: readonly AccessVerdict[];

  /** Throws RegexError. */
  constructor(rules: AccessRules) {
    this.rules = rules;
    this.policies = rules.policies.map((policy) => new CompiledPolicy(policy, rules.action === "allow"));
    this.#none = { isAllowed: rules.action !== "allow" };
    this.#matched = rules.policies.map((policy) => ({ isAllowed: rules.action !== "deny", policy }));
  }

  /** Allocates nothing. */
  decide(subject: AccessSubject): AccessVerdict {
    const { policies } = this;
    for (let i = 0; i < policies.length; i++) if (policies[i]!.matches(subject)) return this.#matched[i]!;
    return this.#none;
  }

  /** Of rules that allow and did not: the policy that came nearest and its first question that failed. */
  nearest(subject: AccessSubject): { readonly policy: AccessPolicy; readonly why: string } | undefined {
    let best: CompiledPolicy | undefined;
    for (const policy of this.policies) {
      if (best === undefined || policy.nearness(subject) > best.nearness(subject)) best = policy;
    }
    return best && { policy: best.policy, why: best.failure(subject) ?? "it matches" };
  }
}

function anyHolds(predicates: readonly AccessPredicate[], subject: AccessSubject): boolean {
  for (const predicate of predicates) if (predicate.test(subject)) return true;
  return false;
}

function nearestFailure(predicates: readonly AccessPredicate[], subject: AccessSubject): string | undefined {
  if (anyHolds(predicates, subject)) return undefined;
  return predicates[0]?.failure(subject) ?? "it lets nobody in";
}
