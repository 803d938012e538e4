import type { AccessTest } from "../model/authorization.ts";
import { fromClaimMatcher, toClaimMatcher } from "./claim-matcher.ts";
import messages from "./generated/messages.js";
import { fromPrincipalName, toPrincipalName } from "./principal-name.ts";
import { fromTextMatcher, toTextMatcher } from "./text-matcher.ts";
import type { Reading } from "./wire.ts";
import { anyType, decodeMessage, packAny } from "./wire.ts";

type Permission = messages.envoy.config.rbac.v3.Permission;
type Principal = messages.envoy.config.rbac.v3.Principal;
type HeaderMatcher = messages.envoy.config.route.v3.HeaderMatcher;
type Cidr = messages.envoy.config.core.v3.CidrRange;

const { UriTemplateMatchConfig } = messages.envoy.extensions.path.match.uri_template.v3;
const templateType = "envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig";

/** Throws for questions about who; the control plane puts each on its side. */
export function toPermission(test: AccessTest): Permission {
  switch (test.kind) {
    case "any":
      return { any: true };
    case "and":
      return { andRules: { rules: test.tests.map(toPermission) } };
    case "or":
      return { orRules: { rules: test.tests.map(toPermission) } };
    case "not":
      return { notRule: toPermission(test.test) };
    case "header":
      return { header: toHeader(test) };
    case "path":
      return { urlPath: { path: toTextMatcher(test.match) } };
    case "path-template":
      return {
        uriTemplate: {
          name: "uri-template",
          typedConfig: packAny(templateType, UriTemplateMatchConfig, {
            pathTemplate: test.template.replaceAll("{*}", "*").replaceAll("{**}", "**"),
          }),
        },
      };
    case "destination-ip":
      return { destinationIp: toCidr(test.cidr) };
    case "destination-port":
      return { destinationPort: test.port };
    case "server-name":
      return { requestedServerName: toTextMatcher(test.match) };
    case "claim":
      return { metadata: toClaimMatcher(test) };
    default:
      throw new Error(`${test.kind} is a question about who, not about what`);
  }
}

/** Throws for questions about what. */
export function toPrincipal(test: AccessTest): Principal {
  switch (test.kind) {
    case "any":
      return { any: true };
    case "and":
      return { andIds: { ids: test.tests.map(toPrincipal) } };
    case "or":
      return { orIds: { ids: test.tests.map(toPrincipal) } };
    case "not":
      return { notId: toPrincipal(test.test) };
    case "header":
      return { header: toHeader(test) };
    case "path":
      return { urlPath: { path: toTextMatcher(test.match) } };
    case "principal":
    case "source-namespace":
    case "service-account":
      return { authenticated: { principalName: toTextMatcher(toPrincipalName(test)) } };
    case "source-ip":
      return { directRemoteIp: toCidr(test.cidr) };
    case "remote-ip":
      return { remoteIp: toCidr(test.cidr) };
    case "claim":
      return { metadata: toClaimMatcher(test) };
    default:
      throw new Error(`${test.kind} is a question about what, not about who`);
  }
}

/** A question that is not understood is a problem: neither yes nor no would be safe. The result is then of no use. */
export function fromPermission(wire: Permission, path: string, reading: Reading): AccessTest {
  reading.refuseUnknown(wire, "envoy.config.rbac.v3.Permission", path);
  const all = (set: { readonly rules?: Permission[] | null | undefined }, at: string) =>
    (set.rules ?? []).map((inner, index) => fromPermission(inner, `${at}[${index}]`, reading));
  if (wire.any) return { kind: "any" };
  if (wire.andRules) return { kind: "and", tests: all(wire.andRules, `${path}.andRules`) };
  if (wire.orRules) return { kind: "or", tests: all(wire.orRules, `${path}.orRules`) };
  if (wire.notRule) return { kind: "not", test: fromPermission(wire.notRule, `${path}.notRule`, reading) };
  if (wire.header) return fromHeader(wire.header, `${path}.header`, reading);
  if (wire.urlPath) return fromPath(wire.urlPath.path, `${path}.urlPath`, reading);
  if (wire.metadata) return fromClaimMatcher(wire.metadata, `${path}.metadata`, reading);
  if (wire.destinationIp) return { kind: "destination-ip", cidr: fromCidr(wire.destinationIp) };
  if (typeof wire.destinationPort === "number")
    return { kind: "destination-port", port: wire.destinationPort };
  if (wire.requestedServerName) {
    const match = fromTextMatcher(wire.requestedServerName, `${path}.requestedServerName`, reading);
    return match ? { kind: "server-name", match } : never;
  }
  if (wire.uriTemplate && anyType(wire.uriTemplate.typedConfig) === templateType) {
    const value = wire.uriTemplate.typedConfig?.value ?? new Uint8Array();
    const config = decodeMessage(UriTemplateMatchConfig, value, `${path}.uriTemplate`, reading);
    const template = (config?.pathTemplate ?? "").replace(/(?<=\/)\*{1,2}(?=\/|$)/g, "{$&}");
    return { kind: "path-template", template };
  }
  reading.problem(path, "is a permission that this version does not understand");
  return never;
}

export function fromPrincipal(wire: Principal, path: string, reading: Reading): AccessTest {
  reading.refuseUnknown(wire, "envoy.config.rbac.v3.Principal", path);
  const all = (set: { readonly ids?: Principal[] | null | undefined }, at: string) =>
    (set.ids ?? []).map((inner, index) => fromPrincipal(inner, `${at}[${index}]`, reading));
  if (wire.any) return { kind: "any" };
  if (wire.andIds) return { kind: "and", tests: all(wire.andIds, `${path}.andIds`) };
  if (wire.orIds) return { kind: "or", tests: all(wire.orIds, `${path}.orIds`) };
  if (wire.notId) return { kind: "not", test: fromPrincipal(wire.notId, `${path}.notId`, reading) };
  if (wire.header) return fromHeader(wire.header, `${path}.header`, reading);
  if (wire.urlPath) return fromPath(wire.urlPath.path, `${path}.urlPath`, reading);
  if (wire.metadata) return fromClaimMatcher(wire.metadata, `${path}.metadata`, reading);
  if (wire.authenticated) {
    // Without a name: anybody who proved to be somebody.
    const name = wire.authenticated.principalName;
    if (!name) return { kind: "principal", match: { kind: "present" } };
    const match = fromTextMatcher(name, `${path}.authenticated`, reading);
    return match ? fromPrincipalName(match) : never;
  }
  if (wire.directRemoteIp) return { kind: "source-ip", cidr: fromCidr(wire.directRemoteIp) };
  if (wire.sourceIp) return { kind: "source-ip", cidr: fromCidr(wire.sourceIp) };
  if (wire.remoteIp) return { kind: "remote-ip", cidr: fromCidr(wire.remoteIp) };
  reading.problem(path, "is a principal that this version does not understand");
  return never;
}

/** Stands where a problem was reported. */
const never: AccessTest = { kind: "not", test: { kind: "any" } };

function toHeader({ name, match }: Extract<AccessTest, { kind: "header" }>): HeaderMatcher {
  return match.kind === "present"
    ? { name, presentMatch: true }
    : { name, stringMatch: toTextMatcher(match) };
}

function fromHeader(wire: HeaderMatcher, path: string, reading: Reading): AccessTest {
  reading.refuseUnknown(wire, "envoy.config.route.v3.HeaderMatcher", path);
  const name = (wire.name ?? "").toLowerCase();
  const test = readHeader(name, wire, path, reading);
  return wire.invertMatch && test !== never ? { kind: "not", test } : test;
}

function readHeader(name: string, wire: HeaderMatcher, path: string, reading: Reading): AccessTest {
  if (typeof wire.presentMatch === "boolean") {
    const present: AccessTest = { kind: "header", name, match: { kind: "present" } };
    return wire.presentMatch ? present : { kind: "not", test: present };
  }
  // The older fields, which Istio wrote for a long time.
  const { exactMatch, prefixMatch, suffixMatch, containsMatch, safeRegexMatch } = wire;
  const older = { exact: exactMatch, prefix: prefixMatch, suffix: suffixMatch, contains: containsMatch };
  const [form] = Object.entries(older).filter(([, value]) => typeof value === "string");
  const matcher =
    wire.stringMatch ??
    (form ? { [form[0]]: form[1] } : safeRegexMatch ? { safeRegex: safeRegexMatch } : undefined);
  const match = fromTextMatcher(matcher, path, reading);
  return match ? { kind: "header", name, match } : never;
}

function fromPath(
  wire: messages.envoy.type.matcher.v3.StringMatcher | null | undefined,
  path: string,
  reading: Reading,
): AccessTest {
  const match = fromTextMatcher(wire, path, reading);
  return match ? { kind: "path", match } : never;
}

function toCidr(text: string): Cidr {
  const [addressPrefix, length] = text.split("/");
  const most = text.includes(":") ? 128 : 32;
  return {
    addressPrefix: addressPrefix!,
    prefixLen: { value: length === undefined ? most : Number(length) },
  };
}

function fromCidr({ addressPrefix, prefixLen }: Cidr): string {
  return `${addressPrefix ?? ""}/${prefixLen?.value ?? 0}`;
}
