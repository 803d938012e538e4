import { closestName } from "../../../common/base/closest.ts";
import type { AccessTest, TextMatch } from "../../../common/model/authorization.ts";
import { Cidr } from "../../../common/routing/cidr.ts";
import { isHeaderName } from "../fields/header-operations.ts";
import { compileText } from "./texts.ts";

/** What a `key` of `when` stands for (Istio's conditions). */
export interface ConditionKey {
  readonly side: "principal" | "permission";
  readonly isHttp: boolean;
  /** The questions for values that `problem` has nothing against. */
  compile(values: readonly string[], namespace: string): readonly AccessTest[];
  /** Why a value means nothing; absent: texts with a star at one end. */
  problem?(value: string): string | undefined;
}

/** The key's meaning, or why it has none. */
export function conditionKey(key: string): ConditionKey | { readonly why: string; readonly hint?: string } {
  const known = plainKeys.get(key);
  if (known !== undefined) return known;
  const header = /^request\.headers\[([^\]]+)\]$/.exec(key)?.[1];
  if (header !== undefined) {
    const name = header.toLowerCase();
    if (!isHeaderName(name) && !name.startsWith(":"))
      return { why: `${JSON.stringify(header)} is not a header name` };
    return httpPrincipal((match) => ({ kind: "header", name, match }));
  }
  if (/^request\.auth\.claims(?:\[[^\]]+\])+$/.test(key)) {
    const path = [...key.matchAll(/\[([^\]]+)\]/g)].map((found) => found[1]!);
    return { ...httpPrincipal(() => ({ kind: "any" })), compile: (values) => [claim(path, values)] };
  }
  if (key.startsWith("experimental."))
    return {
      why: "is not supported yet",
      hint: "it asks for what filters of Envoy's leave, which this proxy has not",
    };
  const guess = closestName(key, [...plainKeys.keys(), "request.headers[name]", "request.auth.claims[name]"]);
  return { why: "is not a key", ...(guess === undefined ? {} : { hint: `did you mean ${guess}?` }) };
}

/** Of a token: `ISSUER/SUBJECT`, divided at the last slash, because issuers are URLs. */
export function requestPrincipal(value: string): AccessTest {
  const slash = value.lastIndexOf("/");
  const issuer = slash === -1 ? value : value.slice(0, slash);
  const subject = value.slice(slash + 1);
  if (slash === -1 && value.startsWith("*") && value !== "*") return issuerAndSubject("*", value);
  return issuerAndSubject(issuer, slash === -1 ? "*" : subject);
}

export function principal(value: string): AccessTest {
  const before = value.startsWith("*") && value !== "*" ? "" : "spiffe://";
  return { kind: "principal", match: compileText(value, { before }) };
}

export function sourceNamespace(value: string): AccessTest {
  return { kind: "source-namespace", match: compileText(value) };
}

export function serviceAccount(value: string, namespace: string): AccessTest {
  const slash = value.indexOf("/");
  if (slash === -1) return { kind: "service-account", namespace, name: value };
  return { kind: "service-account", namespace: value.slice(0, slash), name: value.slice(slash + 1) };
}

export function trustDomain(value: string): AccessTest {
  const text = value.toLowerCase();
  if (text === "*") return { kind: "principal", match: { kind: "prefix", value: "spiffe://" } };
  if (!text.includes("*"))
    return { kind: "principal", match: { kind: "prefix", value: `spiffe://${text}/` } };
  const [start = "", end = ""] = text.split("*").map((part) => part.replace(/[.\\+?()[\]{}|^$]/g, "\\$&"));
  return { kind: "principal", match: { kind: "regex", value: `spiffe://${start}[^/]*${end}/.*` } };
}

function issuerAndSubject(issuer: string, subject: string): AccessTest {
  return { kind: "and", tests: [claim(["iss"], [issuer]), claim(["sub"], [subject])] };
}

function claim(path: readonly string[], values: readonly string[]): AccessTest {
  return { kind: "claim", path, matches: values.map((value) => compileText(value)) };
}

function httpPrincipal(test: (match: TextMatch) => AccessTest): ConditionKey {
  return {
    side: "principal",
    isHttp: true,
    compile: (values) => values.map((value) => test(compileText(value))),
  };
}

function peer(test: (value: string, namespace: string) => AccessTest): ConditionKey {
  return {
    side: "principal",
    isHttp: false,
    compile: (values, namespace) => values.map((value) => test(value, namespace)),
  };
}

function address(
  side: ConditionKey["side"],
  kind: "source-ip" | "remote-ip" | "destination-ip",
): ConditionKey {
  return {
    side,
    isHttp: false,
    compile: (values) => values.map((cidr) => ({ kind, cidr })),
    problem: (value) => (Cidr.parse(value) ? undefined : "is not an IP address or CIDR"),
  };
}

const plainKeys: ReadonlyMap<string, ConditionKey> = new Map<string, ConditionKey>([
  ["source.ip", address("principal", "source-ip")],
  ["remote.ip", address("principal", "remote-ip")],
  ["source.namespace", peer(sourceNamespace)],
  ["source.principal", peer(principal)],
  ["source.serviceAccount", peer(serviceAccount)],
  ["source.trustDomain", peer(trustDomain)],
  [
    "request.auth.principal",
    { side: "principal", isHttp: true, compile: (values) => values.map(requestPrincipal) },
  ],
  [
    "request.auth.audiences",
    { side: "principal", isHttp: true, compile: (values) => [claim(["aud"], values)] },
  ],
  [
    "request.auth.presenter",
    { side: "principal", isHttp: true, compile: (values) => [claim(["azp"], values)] },
  ],
  ["destination.ip", address("permission", "destination-ip")],
  [
    "destination.port",
    {
      side: "permission",
      isHttp: false,
      compile: (values) => values.map((port) => ({ kind: "destination-port", port: Number(port) })),
      problem: (value) =>
        /^[1-9]\d{0,4}$/.test(value) && Number(value) <= 65_535 ? undefined : "is not a port",
    },
  ],
  [
    "connection.sni",
    {
      side: "permission",
      isHttp: false,
      compile: (values) => values.map((value) => ({ kind: "server-name", match: compileText(value) })),
    },
  ],
]);
