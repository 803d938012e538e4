import type { AccessPolicy, AccessRules, AccessTest } from "../../common/model/authorization.ts";
import type {
  AccessField,
  CompiledAccessRule,
  CompiledAuthorizationPolicy,
} from "../snapshot/access-policies.ts";

/** Names under which a mesh is known; the first is its own. */
export type TrustDomains = readonly string[];

/**
 * The rules that a proxy runs for its policies, in the order in which they are asked: AUDIT, DENY, ALLOW (Istio's), each followed by
 * those that are only tried.
 */
export function accessRules(
  policies: readonly CompiledAuthorizationPolicy[],
  protocol: "http" | "tcp",
  trustDomains: TrustDomains,
): readonly AccessRules[] {
  return (["audit", "deny", "allow"] as const).flatMap((action) => {
    const own = policies.filter((policy) => policy.action === action);
    return [false, true].flatMap((isDryRun): AccessRules[] => {
      const chosen = own.filter((policy) => policy.isDryRun === isDryRun);
      if (chosen.length === 0) return [];
      const made = chosen.flatMap((policy) => accessPolicies(policy, protocol, trustDomains));
      // Nothing to match: a DENY or AUDIT that never fires; an ALLOW that lets nobody in.
      if (made.length === 0 && action !== "allow") return [];
      const rules: AccessRules = { action: action === "audit" ? "log" : action, policies: made };
      return [isDryRun ? { ...rules, isDryRun } : rules];
    });
  });
}

/** One per rule; a rule that can't hold on such connections has none. */
export function accessPolicies(
  { rules, action }: CompiledAuthorizationPolicy,
  protocol: "http" | "tcp",
  trustDomains: TrustDomains,
): readonly AccessPolicy[] {
  return rules.flatMap((rule) => accessPolicy(rule, action === "allow", protocol, trustDomains) ?? []);
}

/**
 * Where nobody reads requests, a field about them can't be answered: a rule that lets in then lets nobody in, one that keeps out does
 * so without asking it (Istio's rule, and the safe side both times).
 */
function accessPolicy(
  { name, source, principals, permissions }: CompiledAccessRule,
  letsIn: boolean,
  protocol: "http" | "tcp",
  trustDomains: TrustDomains,
): AccessPolicy | undefined {
  const fields = [...principals, ...permissions].flat();
  if (protocol === "tcp" && letsIn && fields.some(({ isHttp }) => isHttp)) return undefined;
  const answerable = (list: readonly AccessField[]) =>
    protocol === "tcp" ? list.filter(({ isHttp }) => !isHttp) : list;
  const all = (list: readonly AccessField[]) => allOf(answerable(list).flatMap(questions));
  return {
    name,
    source,
    principals: principals.map((list) => withAliases(all(list), trustDomains)),
    permissions: permissions.map(all),
  };
}

function questions({ values, notValues }: AccessField): AccessTest[] {
  return [
    ...(values.length > 0 ? [anyOf(values)] : []),
    ...(notValues.length > 0 ? [{ kind: "not", test: anyOf(notValues) } as const] : []),
  ];
}

function allOf(tests: readonly AccessTest[]): AccessTest {
  if (tests.length === 0) return { kind: "any" };
  return tests.length === 1 ? tests[0]! : { kind: "and", tests };
}

function anyOf(tests: readonly AccessTest[]): AccessTest {
  return tests.length === 1 ? tests[0]! : { kind: "or", tests };
}

/**
 * A principal of one of the mesh's trust domains, or of `cluster.local`, which stands for the mesh's own, is meant with each of them, so
 * that policies outlive a change of the name (Istio's trustDomainAliases).
 */
function withAliases(test: AccessTest, trustDomains: TrustDomains): AccessTest {
  if (test.kind === "not") return { kind: "not", test: withAliases(test.test, trustDomains) };
  if (test.kind === "and" || test.kind === "or")
    return { kind: test.kind, tests: test.tests.map((inner) => withAliases(inner, trustDomains)) };
  if (test.kind !== "principal" || (test.match.kind !== "exact" && test.match.kind !== "prefix")) return test;
  const { kind, value } = test.match;
  const found = /^spiffe:\/\/([^/]+)(\/.*)$/.exec(value);
  if (found === null || !(found[1] === "cluster.local" || trustDomains.includes(found[1]!))) return test;
  const tests = trustDomains.map(
    (domain): AccessTest => ({ kind: "principal", match: { kind, value: `spiffe://${domain}${found[2]}` } }),
  );
  return anyOf(tests.length === 0 ? [test] : tests);
}
