import type { AccessTest } from "../../../common/model/authorization.ts";
import { isPathTemplate } from "../../../common/routing/path-template.ts";
import { compileLabels } from "../fields/labels.ts";
import type { SpecContext } from "../kind.ts";
import type { AccessField, CompiledAccessRule, CompiledAuthorizationPolicy } from "./compiled.ts";
import type { ConditionKey } from "./conditions.ts";
import {
  conditionKey,
  principal,
  requestPrincipal,
  serviceAccount,
  sourceNamespace,
  trustDomain,
} from "./conditions.ts";
import type { AuthorizationPolicySpec, RuleInput } from "./schema.ts";
import { compileText } from "./texts.ts";

/** Istio's switch for policies that are only tried. */
export const dryRunAnnotation = "istio.io/dry-run";

const actions = { ALLOW: "allow", DENY: "deny", AUDIT: "audit", CUSTOM: "custom" } as const;

export function compileAuthorizationPolicy(
  spec: AuthorizationPolicySpec,
  context: SpecContext,
): CompiledAuthorizationPolicy {
  return {
    kind: "AuthorizationPolicy",
    selector: compileLabels(spec.selector?.matchLabels),
    action: actions[spec.action ?? "ALLOW"],
    ...(spec.provider === undefined ? {} : { provider: spec.provider.name }),
    isDryRun: context.annotations[dryRunAnnotation] === "true",
    rules: (spec.rules ?? []).map((rule, index) => compileRule(rule, index, context)),
  };
}

function compileRule(rule: RuleInput, index: number, context: SpecContext): CompiledAccessRule {
  const { namespace, name } = context;
  const conditions = (rule.when ?? []).map(({ key, values, notValues }) => {
    // Validation let only known keys through.
    const known = conditionKey(key) as ConditionKey;
    return {
      side: known.side,
      field: {
        name: key,
        isHttp: known.isHttp,
        values: values === undefined ? [] : known.compile(values, namespace),
        notValues: notValues === undefined ? [] : known.compile(notValues, namespace),
      },
    };
  });
  const of = (side: ConditionKey["side"]) =>
    conditions.filter((condition) => condition.side === side).map(({ field }) => field);
  const who = of("principal");
  const what = of("permission");
  return {
    name: `ns[${namespace}]-policy[${name}]-rule[${index}]`,
    source: context.sourceOf(["rules", index]),
    principals: (rule.from ?? [undefined]).map((from) => [...sourceFields(from?.source, namespace), ...who]),
    permissions: (rule.to ?? [undefined]).map((to) => [...operationFields(to?.operation), ...what]),
  };
}

type SourceInput = NonNullable<RuleInput["from"]>[number]["source"] | undefined;
type OperationInput = NonNullable<RuleInput["to"]>[number]["operation"] | undefined;

function sourceFields(source: SourceInput, namespace: string): AccessField[] {
  if (source === undefined) return [];
  const account = (value: string) => serviceAccount(value, namespace);
  return [
    ...field("principals", false, source.principals, source.notPrincipals, principal),
    ...field(
      "requestPrincipals",
      true,
      source.requestPrincipals,
      source.notRequestPrincipals,
      requestPrincipal,
    ),
    ...field("namespaces", false, source.namespaces, source.notNamespaces, sourceNamespace),
    ...field("serviceAccounts", false, source.serviceAccounts, source.notServiceAccounts, account),
    ...field("trustDomains", false, source.trustDomains, source.notTrustDomains, trustDomain),
    ...field("ipBlocks", false, source.ipBlocks, source.notIpBlocks, (cidr) => ({ kind: "source-ip", cidr })),
    ...field("remoteIpBlocks", false, source.remoteIpBlocks, source.notRemoteIpBlocks, (cidr) => ({
      kind: "remote-ip",
      cidr,
    })),
  ];
}

function operationFields(operation: OperationInput): AccessField[] {
  if (operation === undefined) return [];
  const port = (value: string): AccessTest => ({ kind: "destination-port", port: Number(value) });
  return [
    ...field("methods", true, operation.methods, operation.notMethods, (value) => ({
      kind: "header",
      name: ":method",
      match: compileText(value),
    })),
    ...field("paths", true, operation.paths, operation.notPaths, path),
    ...field("hosts", true, operation.hosts, operation.notHosts, host),
    ...field("ports", false, operation.ports, operation.notPorts, port),
  ];
}

function field(
  name: string,
  isHttp: boolean,
  values: readonly string[] | undefined,
  notValues: readonly string[] | undefined,
  test: (value: string) => AccessTest,
): AccessField[] {
  if (values === undefined && notValues === undefined) return [];
  return [{ name, isHttp, values: (values ?? []).map(test), notValues: (notValues ?? []).map(test) }];
}

function path(value: string): AccessTest {
  if (isPathTemplate(value)) return { kind: "path-template", template: value };
  return { kind: "path", match: compileText(value) };
}

/**
 * A host without a port stands for all its ports: whoever denies `admin.example.com` also means `admin.example.com:8080`
 * (Istio compares the text as it is sent).
 */
function host(value: string): AccessTest {
  const name = ":authority";
  const text = value.toLowerCase().replace(/\.(?=:|$)/, "");
  const match = compileText(text, { ignoreCase: true });
  const alone: AccessTest = { kind: "header", name, match };
  if (match.kind === "present" || match.kind === "prefix" || /:\d+$/.test(text)) return alone;
  const withPort: AccessTest =
    match.kind === "exact"
      ? { kind: "header", name, match: { kind: "prefix", value: `${text}:`, ignoreCase: true } }
      : {
          kind: "header",
          name,
          match: {
            kind: "regex",
            value: `(?i).*${text.slice(1).replace(/[.\\+?()[\]{}|^$]/g, "\\$&")}:[0-9]+`,
          },
        };
  return { kind: "or", tests: [alone, withPort] };
}
