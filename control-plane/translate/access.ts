import type { AccessControl, AccessPolicy, AccessRules } from "../../common/model/authorization.ts";
import type { ExternalAuthorization } from "../../common/model/external-authorization.ts";
import type { ProxyNode } from "../../common/model/node.ts";
import type {
  CompiledAuthorizationPolicy,
  CompiledRequestAuthentication,
} from "../snapshot/access-policies.ts";
import { policiesFor } from "../snapshot/access-policies.ts";
import { reuse } from "../snapshot/reuse.ts";
import type { MeshSettings, Snapshot } from "../snapshot/snapshot.ts";
import { accessPolicies, accessRules } from "./access-rules.ts";

interface Made {
  readonly http?: AccessControl;
  readonly tcp?: AccessControl;
}

const made = new WeakMap<ProxyNode, Made>();

/** Who may call this proxy; the same object as long as its policies stay. Undefined: all may. */
export function accessFor(
  snapshot: Snapshot,
  node: ProxyNode,
  protocol: "http" | "tcp" = "http",
): AccessControl | undefined {
  const { access, settings } = snapshot;
  const policies = policiesFor(access.authorization, node, settings.rootNamespace);
  const tokens = policiesFor(access.authentication, node, settings.rootNamespace);
  const known = made.get(node) ?? {};
  const next = reuse<Made>(known, [settings, ...policies, ...tokens], () => ({
    http: { ...accessControl(policies, settings, "http"), ...jwtOf(tokens, settings) },
    tcp: accessControl(policies, settings, "tcp"),
  }));
  made.set(node, next);
  const control = next[protocol];
  return control && (control.jwt || control.external || control.rules.length > 0) ? control : undefined;
}

/** All issuers together; each has a name that Istio would give it. */
function jwtOf(
  tokens: readonly CompiledRequestAuthentication[],
  { jwksNetworks = [] }: MeshSettings,
): Pick<AccessControl, "jwt"> {
  const providers = tokens.flatMap((policy) => policy.providers);
  if (providers.length === 0) return {};
  return {
    jwt: {
      providers: providers.map(({ source: _, ...provider }, index) => ({
        ...provider,
        name: `origins-${index}`,
        keys: provider.keys.kind === "remote" ? { ...provider.keys, networks: jwksNetworks } : provider.keys,
      })),
    },
  };
}

/** Who can't be asked has not agreed to anything (Istio's name for it). */
const denyAll: AccessPolicy = {
  name: "default-deny-all-due-to-bad-CUSTOM-action",
  permissions: [{ kind: "any" }],
  principals: [{ kind: "any" }],
};

function accessControl(
  policies: readonly CompiledAuthorizationPolicy[],
  settings: MeshSettings,
  protocol: "http" | "tcp",
): AccessControl {
  const trustDomains = settings.trustDomains ?? ["cluster.local"];
  const custom = policies.filter(({ action }) => action === "custom");
  const external: ExternalAuthorization[] = [];
  const refusing: AccessRules[] = [];
  for (const [name, own] of Map.groupBy(custom, ({ provider }) => provider ?? "")) {
    const asking = own.flatMap((policy) => accessPolicies(policy, protocol, trustDomains));
    if (asking.length === 0) continue;
    const provider = settings.extensionProviders?.get(name);
    if (provider !== undefined && !(protocol === "tcp" && provider.service.kind === "http")) {
      const { host: _host, port: _port, ...rest } = provider;
      external.push({ ...rest, policies: asking });
    } else {
      const { source } = own[0]!.rules[0]!;
      refusing.push({ action: "deny", policies: [{ ...denyAll, source }] });
    }
  }
  const rules = accessRules(policies, protocol, trustDomains);
  return { ...(external.length > 0 ? { external } : {}), rules: [...refusing, ...rules] };
}
