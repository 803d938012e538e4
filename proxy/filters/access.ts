import type { AccessControl } from "../../common/model/authorization.ts";
import type { Layer } from "../http/layer.ts";
import { authorize } from "./authorize.ts";
import type { ExternalParts } from "./ext-authz.ts";
import { askSomebody } from "./ext-authz.ts";
import type { JwksSet } from "./jwks.ts";
import { verifyTokens } from "./jwt.ts";

/** What the layers that judge requests share; outlives config. */
export interface AccessParts extends ExternalParts {
  readonly jwks: JwksSet;
}

/** Who may call, as one layer: tokens, then whoever is asked, then rules (Istio's order). Throws RegexError. */
export function controlAccess(access: AccessControl | undefined, parts: AccessParts): Layer {
  if (access === undefined) return (next) => next;
  const layers = [
    ...(access.jwt ? [verifyTokens(access.jwt, parts.jwks)] : []),
    ...(access.external ?? []).map((external) => askSomebody(external, parts)),
    authorize(access.rules, parts.counts),
  ];
  return (next) => layers.reduceRight((inner, layer) => layer(inner), next);
}
