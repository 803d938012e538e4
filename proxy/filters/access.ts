import type { AccessControl } from "../../common/model/authorization.ts";
import type { Layer } from "../http/layer.ts";
import type { AccessCounts } from "./access-counts.ts";
import { authorize } from "./authorize.ts";

/** What the layers that judge requests share; outlives config. */
export interface AccessParts {
  readonly counts: AccessCounts;
}

/** Who may call, as one layer: tokens, then whoever is asked, then rules (Istio's order). Throws RegexError. */
export function controlAccess(access: AccessControl | undefined, { counts }: AccessParts): Layer {
  if (access === undefined) return (next) => next;
  const layers = [authorize(access.rules, counts)];
  return (next) => layers.reduceRight((inner, layer) => layer(inner), next);
}
