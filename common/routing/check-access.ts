import type { Problem } from "../base/problem.ts";
import type { AccessControl, AccessPolicy } from "../model/authorization.ts";
import { CompiledPolicy } from "./access-decision.ts";
import { RegexError } from "./regex.ts";

/** Everything for which policies could not be made ready: patterns that RE2 refuses, addresses that are none. */
export function checkAccess(access: AccessControl): readonly Problem[] {
  const policies = [...access.rules, ...(access.external ?? [])].flatMap((rules) => rules.policies);
  return policies.flatMap(checkPolicy);
}

function checkPolicy(policy: AccessPolicy): Problem[] {
  try {
    new CompiledPolicy(policy, true);
    return [];
  } catch (thrown) {
    if (thrown instanceof RegexError) return [{ path: "access", why: thrown.message }];
    throw thrown;
  }
}
