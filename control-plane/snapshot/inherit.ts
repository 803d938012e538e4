import type { ForwardAction, Rewrite } from "../../common/model/route.ts";
import type { ServiceReference } from "../../common/model/service.ts";
import type { CompiledRoute } from "../resources/virtual-service/compiled.ts";
import type { Inherited } from "../resources/virtual-service/inherited.ts";

/** Whether a rule as it was written says something in a field of that name. */
export type IsGiven = (field: string) => boolean;

/** A delegate's rule with what only the rule above it says. */
export function inherit(
  route: CompiledRoute,
  inherited: Inherited | undefined,
  isGiven: IsGiven,
): CompiledRoute {
  if (inherited === undefined) return route;
  const { fault, cors, headers } = inherited;
  const { action } = route;
  const { authority, ...operations } = headers !== undefined && !isGiven("headers") ? headers : {};
  return {
    ...route,
    ...operations,
    ...(fault && !isGiven("fault") && { fault }),
    ...(cors && !isGiven("corsPolicy") && { cors }),
    action: action.kind === "forward" ? inheritForward(action, inherited, isGiven, authority) : action,
  };
}

function inheritForward(
  action: ForwardAction<ServiceReference>,
  { timeoutMs, retry, mirrors, rewrite }: Inherited,
  isGiven: IsGiven,
  authority: string | undefined,
): ForwardAction<ServiceReference> {
  const own = isGiven("rewrite") ? action.rewrite : joined(rewrite, action.rewrite);
  // An authority that headers set counts only where no rewrite names one.
  const joinedRewrite = own?.authority === undefined && authority !== undefined ? { ...own, authority } : own;
  return {
    ...action,
    ...(timeoutMs !== undefined && !isGiven("timeout") && { timeoutMs }),
    ...(retry && !isGiven("retries") && { retry }),
    ...(mirrors && !isGiven("mirror") && !isGiven("mirrors") && { mirrors }),
    ...(joinedRewrite && { rewrite: joinedRewrite }),
  };
}

function joined(above: Rewrite | undefined, own: Rewrite | undefined): Rewrite | undefined {
  return above === undefined ? own : { ...own, ...above };
}
