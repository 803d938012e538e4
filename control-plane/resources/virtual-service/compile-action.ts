import type {
  DirectResponseAction,
  ForwardAction,
  Mirror,
  RedirectAction,
  Rewrite,
  RouteAction,
} from "../../../common/model/route.ts";
import type { ServiceReference } from "../../../common/model/service.ts";
import { durationMs } from "../fields/duration.ts";
import { authoritiesOf, compileHeaderOperations } from "../fields/header-operations.ts";
import { resolveHost } from "../fields/host.ts";
import type { Percent } from "../fields/numbers.ts";
import { percentFraction } from "../fields/numbers.ts";
import type { SpecContext } from "../kind.ts";
import { mirrorHostSuffixAnnotation, perTryIdleTimeoutAnnotation } from "../own-annotations.ts";
import type { CompiledHttpRule } from "./compiled.ts";
import { compileCors } from "./cors.ts";
import { compileFault } from "./fault.ts";
import { compileRetries } from "./retries.ts";
import type { DestinationInput, DirectResponseInput, HttpRule, RedirectInput } from "./schema.ts";

/** Everything that a rule does with a request that it matched. */
export function compileAction(rule: HttpRule, context: SpecContext): NonNullable<CompiledHttpRule["route"]> {
  return {
    action: compileRouteAction(rule, context),
    requestHeaders: compileHeaderOperations(rule.headers?.request),
    responseHeaders: compileHeaderOperations(rule.headers?.response),
    ...(rule.corsPolicy ? { cors: compileCors(rule.corsPolicy) } : {}),
    ...(rule.fault ? { fault: compileFault(rule.fault) } : {}),
  };
}

function compileRouteAction(rule: HttpRule, context: SpecContext): RouteAction<ServiceReference> {
  if (rule.redirect) return compileRedirect(rule.redirect);
  if (rule.directResponse) return compileDirectResponse(rule.directResponse);
  return compileForward(rule, context);
}

function compileForward(rule: HttpRule, context: SpecContext): ForwardAction<ServiceReference> {
  const { namespace } = context;
  const routes = rule.route ?? [];
  const timeoutMs = durationMs(rule.timeout);
  const rewrite = compileRewrite(rule);
  return {
    kind: "forward",
    destinations: routes.map((route) => ({
      destination: compileDestination(route.destination, namespace),
      // A single destination gets everything, whatever its weight says (Istio).
      weight: routes.length === 1 ? route.weight || 100 : (route.weight ?? 0),
      requestHeaders: compileHeaderOperations(route.headers?.request),
      responseHeaders: compileHeaderOperations(route.headers?.response),
    })),
    ...(rewrite ? { rewrite } : {}),
    ...(timeoutMs ? { timeoutMs } : {}),
    ...(rule.retries
      ? { retry: compileRetries(rule.retries, durationMs(context.annotations[perTryIdleTimeoutAnnotation])) }
      : {}),
    mirrors: compileMirrors(rule, context),
  };
}

function compileDestination(input: DestinationInput, namespace: string): ServiceReference {
  return {
    host: resolveHost(input.host, namespace),
    ...(input.subset === undefined ? {} : { subset: input.subset }),
    ...(input.port === undefined ? {} : { port: input.port.number }),
  };
}

/** With the authority that headers set, when the rewrite names none. */
export function compileRewrite(rule: HttpRule): Rewrite | undefined {
  const regex = rule.rewrite?.uriRegexRewrite;
  const authority = rule.rewrite?.authority || authoritiesOf(rule.headers)[0]?.value;
  const rewrite: Rewrite = {
    ...(rule.rewrite?.uri ? { prefix: rule.rewrite.uri } : {}),
    ...(regex ? { regex: { pattern: regex.match, substitution: regex.rewrite } } : {}),
    ...(authority ? { authority } : {}),
  };
  return Object.keys(rewrite).length === 0 ? undefined : rewrite;
}

export function compileMirrors(
  rule: HttpRule,
  { namespace, annotations }: SpecContext,
): Mirror<ServiceReference>[] {
  const deprecated = rule.mirrorPercent ?? rule.mirror_percent;
  const share: Percent | undefined =
    rule.mirrorPercentage ?? (deprecated === undefined ? undefined : { value: deprecated });
  const asked = rule.mirror ? [{ destination: rule.mirror, percentage: share }] : (rule.mirrors ?? []);
  return asked
    .map(({ destination, percentage }) => ({
      destination: compileDestination(destination, namespace),
      fraction: percentage === undefined ? 1 : percentFraction(percentage),
      shadowHostSuffix: annotations[mirrorHostSuffixAnnotation] === "true",
    }))
    .filter((mirror) => mirror.fraction > 0);
}

function compileRedirect(redirect: RedirectInput): RedirectAction {
  const derived = redirect.derivePort === "FROM_REQUEST_PORT" ? "from-request-port" : "from-protocol-default";
  const port = redirect.port ?? (redirect.derivePort === undefined ? undefined : derived);
  return {
    kind: "redirect",
    ...(redirect.uri ? { path: redirect.uri } : {}),
    ...(redirect.prefixRewrite ? { prefix: redirect.prefixRewrite } : {}),
    ...(redirect.authority ? { authority: redirect.authority } : {}),
    ...(redirect.scheme ? { scheme: redirect.scheme } : {}),
    ...(port === undefined ? {} : { port }),
    status: redirect.redirectCode ?? 301,
  };
}

function compileDirectResponse({ status, body }: DirectResponseInput): DirectResponseAction {
  const bytes =
    body?.bytes === undefined ? Buffer.from(body?.string ?? "") : Buffer.from(body.bytes, "base64");
  return { kind: "direct-response", status, body: new Uint8Array(bytes) };
}
