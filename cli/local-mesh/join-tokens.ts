import { joinTokenSum, makeJoinToken } from "../../common/identity/join-token.ts";
import type { PortPlan } from "./port-plan.ts";

/** The tokens of one run of a mesh: each proxy has its own, and the control plane knows of all whose they are. */
export interface JoinTokens {
  /** Proxy's name → token. */
  readonly tokens: ReadonlyMap<string, string>;
  /** What the control plane reads: sum of a token → its owner. */
  readonly owners: Readonly<Record<string, { readonly namespace: string; readonly serviceAccount: string }>>;
}

/** Makes them anew for every run, so that one that got lost is worth nothing after the next start. */
export function makeJoinTokens({ gateways, instances }: PortPlan): JoinTokens {
  const proxies = [
    ...gateways.map(({ gateway }) => ({ name: gateway.name, of: gateway })),
    ...instances.map(({ name, workload }) => ({ name, of: workload })),
  ];
  const made = proxies.map(({ name, of }) => ({ name, of, token: makeJoinToken() }));
  return {
    tokens: new Map(made.map(({ name, token }) => [name, token])),
    owners: Object.fromEntries(
      made.map(({ token, of: { namespace, serviceAccount } }) => [
        joinTokenSum(token),
        { namespace, serviceAccount },
      ]),
    ),
  };
}
