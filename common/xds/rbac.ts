import type { AccessPolicy, AccessRules } from "../model/authorization.ts";
import { fromPermission, fromPrincipal, toPermission, toPrincipal } from "./access-test.ts";
import messages from "./generated/messages.js";
import type { Reading } from "./wire.ts";

type WireRules = messages.envoy.config.rbac.v3.RBAC;
type WirePolicy = messages.envoy.config.rbac.v3.Policy;

const { Action } = messages.envoy.config.rbac.v3.RBAC;
const numbers = { allow: Action.ALLOW, deny: Action.DENY, log: Action.LOG } as const;

/** Policies by name, in their order; a source travels apart, because RBAC has no place for it. */
export function toRules({ action, policies }: AccessRules): WireRules {
  return { action: numbers[action], policies: toPolicies(policies) };
}

export function toPolicies(policies: readonly AccessPolicy[]): { [name: string]: WirePolicy } {
  return Object.fromEntries(
    policies.map(({ name, permissions, principals }) => [
      name,
      { permissions: permissions.map(toPermission), principals: principals.map(toPrincipal) },
    ]),
  );
}

export function fromRules(wire: WireRules, path: string, reading: Reading): AccessRules {
  reading.refuseUnknown(wire, "envoy.config.rbac.v3.RBAC", path, ["policies"]);
  const action = (["allow", "deny", "log"] as const)[wire.action ?? 0];
  if (action === undefined) reading.problem(`${path}.action`, "is not understood by this version");
  const policies = Object.entries(wire.policies ?? {}).map(([name, policy]) =>
    fromPolicy(name, policy, `${path}.policies[${JSON.stringify(name)}]`, reading),
  );
  return { action: action ?? "deny", policies };
}

function fromPolicy(name: string, wire: WirePolicy, path: string, reading: Reading): AccessPolicy {
  reading.refuseUnknown(wire, "envoy.config.rbac.v3.Policy", path);
  const { permissions, principals } = wire;
  if (!permissions?.length || !principals?.length)
    reading.problem(path, "needs a permission and a principal at least");
  return {
    name,
    permissions: (permissions ?? []).map((test, i) =>
      fromPermission(test, `${path}.permissions[${i}]`, reading),
    ),
    principals: (principals ?? []).map((test, i) => fromPrincipal(test, `${path}.principals[${i}]`, reading)),
  };
}
