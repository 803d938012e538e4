import type { AccessControl, AccessPolicy, AccessRules } from "../model/authorization.ts";
import type { ExternalAuthorization } from "../model/external-authorization.ts";
import type { Source } from "../model/source.ts";
import {
  askingPolicyName,
  extAuthzType,
  fromExtAuthz,
  providerOf,
  shadowPrefix,
  toExtAuthz,
} from "./ext-authz.ts";
import messages from "./generated/messages.js";
import { fromJwt, jwtType, toJwt } from "./jwt-authn.ts";
import { fromRules, toPolicies, toRules } from "./rbac.ts";
import type { Reading } from "./wire.ts";
import { anyType, decodeMessage, packAny } from "./wire.ts";

type HttpFilter = messages.envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter;

const { RBAC } = messages.envoy.extensions.filters.http.rbac.v3;
const { JwtAuthentication } = messages.envoy.extensions.filters.http.jwt_authn.v3;
const { ExtAuthz } = messages.envoy.extensions.filters.http.ext_authz.v3;

const rbacType = "envoy.extensions.filters.http.rbac.v3.RBAC";
const rbacName = "envoy.filters.http.rbac";

/** What a chain's weft metadata says about its policies, because Envoy's filters have no place for it. */
export interface AccessNotes {
  /** By the name of the policy. */
  readonly sources: ReadonlyMap<string, Source>;
  readonly jwksNetworks: readonly string[];
}

/** Tokens, whoever is asked, rules: in the order in which Istio puts the filters. */
export function toAccessFilters(access: AccessControl | undefined): HttpFilter[] {
  if (access === undefined) return [];
  return [
    ...(access.jwt
      ? [
          {
            name: "envoy.filters.http.jwt_authn",
            typedConfig: packAny(jwtType, JwtAuthentication, toJwt(access.jwt)),
          },
        ]
      : []),
    ...(access.external ?? []).flatMap(toExternal),
    ...access.rules.map((rules) => ({
      name: rbacName,
      typedConfig: packAny(rbacType, RBAC, shadowOrNot(rules)),
    })),
  ];
}

/** Rules with a statistics prefix for those that are only tried. */
export function shadowOrNot(rules: AccessRules) {
  return rules.isDryRun === true
    ? { shadowRules: toRules(rules), shadowRulesStatPrefix: `istio_dry_run_${rules.action}_` }
    : { rules: toRules(rules) };
}

/** What is shown to a service: Envoy asks it when the rules before, which refuse nothing, matched. */
export function askingRules({ provider, policies }: ExternalAuthorization) {
  const named = policies.map((policy) => ({ ...policy, name: askingPolicyName(provider, policy.name) }));
  return {
    shadowRules: { action: 1 as const, policies: toPolicies(named) },
    shadowRulesStatPrefix: shadowPrefix,
  };
}

function toExternal(external: ExternalAuthorization): HttpFilter[] {
  return [
    { name: rbacName, typedConfig: packAny(rbacType, RBAC, askingRules(external)) },
    {
      name: "envoy.filters.http.ext_authz",
      typedConfig: packAny(extAuthzType, ExtAuthz, toExtAuthz(external)),
    },
  ];
}

/** Collects the filters of a chain that judge requests, in the order in which they stand. */
export class AccessReader {
  readonly #notes: AccessNotes;
  readonly #reading: Reading;
  #jwt: AccessControl["jwt"];
  readonly #external: ExternalAuthorization[] = [];
  readonly #rules: AccessRules[] = [];
  #asking: readonly AccessPolicy[] = [];

  constructor(notes: AccessNotes, reading: Reading) {
    this.#notes = notes;
    this.#reading = reading;
  }

  /** True when the filter was one of these. */
  take(filter: HttpFilter, path: string): boolean {
    const type = anyType(filter.typedConfig);
    const value = filter.typedConfig?.value ?? new Uint8Array();
    if (type === jwtType) {
      if (this.#jwt) this.#reading.problem(path, "is a second filter for tokens");
      const wire = decodeMessage(JwtAuthentication, value, path, this.#reading);
      if (wire) this.#jwt = fromJwt(wire, this.#notes.jwksNetworks, path, this.#reading);
    } else if (type === rbacType) {
      const wire = decodeMessage(RBAC, value, path, this.#reading);
      if (wire) this.takeRules(wire, path);
    } else if (type === extAuthzType) {
      const wire = decodeMessage(ExtAuthz, value, path, this.#reading);
      const provider = providerOf(wire?.filterEnabledMetadata, path, this.#reading);
      const external = wire && fromExtAuthz(wire, provider ?? "", path, this.#reading);
      if (external) this.addExternal(external, provider);
    } else return false;
    if (type !== rbacType && this.#rules.length > 0)
      this.#reading.problem(path, "stands behind rules, where this version cannot ask it");
    return true;
  }

  takeRules(wire: messages.envoy.extensions.filters.http.rbac.v3.RBAC, path: string): void {
    this.#reading.refuseUnknown(wire, rbacType, path);
    if (wire.shadowRules) {
      const shadow = fromRules(wire.shadowRules, `${path}.shadowRules`, this.#reading);
      if (wire.shadowRulesStatPrefix === shadowPrefix) this.#asking = shadow.policies;
      else this.#rules.push({ ...this.#withSources(shadow), isDryRun: true });
    }
    if (wire.rules)
      this.#rules.push(this.#withSources(fromRules(wire.rules, `${path}.rules`, this.#reading)));
  }

  /** `provider` undefined: every request is shown. */
  addExternal(external: Omit<ExternalAuthorization, "policies">, provider: string | undefined): void {
    const prefix = provider === undefined ? "" : askingPolicyName(provider, "");
    const policies = this.#asking
      .filter(({ name }) => name.startsWith(prefix))
      .map((policy) => ({ ...policy, name: policy.name.slice(prefix.length) }));
    this.#external.push({
      ...external,
      policies:
        provider === undefined
          ? [{ name: "every-request", permissions: [{ kind: "any" }], principals: [{ kind: "any" }] }]
          : this.#withSources({ action: "deny", policies }).policies,
    });
  }

  /** Undefined when no filter judges requests. */
  get access(): AccessControl | undefined {
    if (!this.#jwt && this.#external.length === 0 && this.#rules.length === 0) return undefined;
    return {
      ...(this.#jwt ? { jwt: this.#jwt } : {}),
      ...(this.#external.length > 0 ? { external: this.#external } : {}),
      rules: this.#rules,
    };
  }

  #withSources(rules: AccessRules): AccessRules {
    return {
      ...rules,
      policies: rules.policies.map((policy) => {
        const source = this.#notes.sources.get(policy.name);
        return source === undefined ? policy : { ...policy, source };
      }),
    };
  }
}

/** The sources of all policies, for the chain's metadata. */
export function sourcesOf(
  access: AccessControl | undefined,
): readonly (readonly [name: string, source: Source])[] {
  const policies = [...(access?.rules ?? []), ...(access?.external ?? [])].flatMap(
    ({ policies }) => policies,
  );
  const named = policies.flatMap(({ name, source }) => (source ? [[name, source] as const] : []));
  return [...new Map(named)];
}
