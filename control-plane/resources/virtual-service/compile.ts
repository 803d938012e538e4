import type { HeaderMatch, PathMatch, QueryParamMatch, RouteMatch } from "../../../common/model/route.ts";
import { compileExportTo } from "../fields/export-to.ts";
import { resolveGatewayName } from "../fields/gateway-name.ts";
import { resolveHost } from "../fields/host.ts";
import { compileLabels } from "../fields/labels.ts";
import type { StringMatchInput } from "../fields/string-match.ts";
import { compileStringMatch } from "../fields/string-match.ts";
import type { SpecContext } from "../kind.ts";
import { claimPath, compileClaims } from "./claims.ts";
import { compileAction } from "./compile-action.ts";
import type { CompiledHttpMatch, CompiledHttpRule, CompiledVirtualService, RuleScope } from "./compiled.ts";
import { compileInherited } from "./inherited.ts";
import type { HttpMatch, HttpRule, VirtualServiceSpec } from "./schema.ts";
import { compileTcpRule } from "./tcp.ts";
import { compileTlsRule } from "./tls.ts";

export function compileVirtualService(
  spec: VirtualServiceSpec,
  context: SpecContext,
): CompiledVirtualService {
  const gateways = spec.gateways === undefined || spec.gateways.length === 0 ? ["mesh"] : spec.gateways;
  return {
    kind: "VirtualService",
    hosts: (spec.hosts ?? []).map((host) => resolveHost(host, context.namespace)),
    gateways: gateways.map((name) => resolveGatewayName(name, context.namespace)),
    exportTo: compileExportTo(spec.exportTo),
    http: (spec.http ?? []).map((rule, index) => compileRule(rule, index, context)),
    ...(spec.tls && spec.tls.length > 0
      ? { tls: spec.tls.map((rule, index) => compileTlsRule(rule, index, context)) }
      : {}),
    ...(spec.tcp && spec.tcp.length > 0
      ? { tcp: spec.tcp.map((rule, index) => compileTcpRule(rule, index, context)) }
      : {}),
  };
}

function compileRule(rule: HttpRule, index: number, context: SpecContext): CompiledHttpRule {
  const inherited = rule.delegate && compileInherited(rule, context);
  const source = context.sourceOf(["http", index]);
  const matches = (rule.match ?? []).map(
    (match, matchIndex): CompiledHttpMatch => ({
      name: match.name ?? "",
      match: compileMatch(match),
      scope: compileScope(match, context.namespace),
      source: context.sourceOf(["http", index, "match", matchIndex]),
    }),
  );
  const everything: CompiledHttpMatch = {
    name: "",
    match: { path: { kind: "any" }, headers: [], queryParams: [] },
    scope: {},
    source,
  };
  return {
    name: rule.name ?? "",
    source,
    matches: matches.length === 0 ? [everything] : matches,
    ...(rule.delegate
      ? {
          delegate: {
            namespace: rule.delegate.namespace ?? context.namespace,
            name: rule.delegate.name ?? "",
          },
          ...(inherited && { inherited }),
        }
      : { route: compileAction(rule, context) }),
  };
}

function compileMatch(match: HttpMatch): RouteMatch {
  const claims = [...compileClaims(match.headers, false), ...compileClaims(match.withoutHeaders, true)];
  return {
    ...(claims.length > 0 ? { claims } : {}),
    path: compilePath(match),
    ...optionalMatch("method", match.method),
    ...optionalMatch("scheme", match.scheme),
    ...optionalMatch("authority", match.authority),
    headers: [...compileHeaders(match.headers, false), ...compileHeaders(match.withoutHeaders, true)],
    queryParams: Object.entries(match.queryParams ?? {}).map(([name, input]): QueryParamMatch => {
      const compiled = compileStringMatch(input);
      return compiled ? { name, match: compiled } : { name };
    }),
  };
}

function compilePath({ uri, ignoreUriCase }: HttpMatch): PathMatch {
  const match = uri && compileStringMatch(uri);
  if (match === undefined) return { kind: "any" };
  if (match.kind === "regex") return { kind: "regex", value: match.value };
  return { kind: match.kind, value: match.value, ignoreCase: ignoreUriCase ?? false };
}

function optionalMatch<N extends string>(name: N, input: StringMatchInput | undefined) {
  const match = input && compileStringMatch(input);
  return (match ? { [name]: match } : {}) as { [key in N]?: NonNullable<typeof match> };
}

function compileHeaders(
  input: Readonly<Record<string, StringMatchInput>> | undefined,
  invert: boolean,
): HeaderMatch[] {
  const headers = Object.entries(input ?? {}).filter(([name]) => claimPath(name) === undefined);
  return headers.map(([name, value]) => {
    const match = compileStringMatch(value);
    return match ? { name, match, invert } : { name, invert };
  });
}

function compileScope(match: HttpMatch, namespace: string): RuleScope {
  return {
    ...(match.sourceLabels ? { sourceLabels: compileLabels(match.sourceLabels) } : {}),
    ...(match.sourceNamespace === undefined ? {} : { sourceNamespace: match.sourceNamespace }),
    ...((match.gateways ?? []).length > 0
      ? { gateways: (match.gateways ?? []).map((name) => resolveGatewayName(name, namespace)) }
      : {}),
    ...(match.port === undefined ? {} : { port: match.port }),
  };
}
