import { describe, expect, it } from "vitest";
import type { AccessControl } from "../../common/model/authorization.ts";
import type { Listener } from "../../common/model/listener.ts";
import type { ProxyNode } from "../../common/model/node.ts";
import { proxyNodeId } from "../../common/model/node.ts";
import type { AccessSubject } from "../../common/routing/access-subject.ts";
import { explainAccess } from "../../common/routing/explain-access.ts";
import { decodeListener, encodeListener } from "../../common/xds/listener.ts";
import { decodeText } from "../resources/decode-text.ts";
import { buildSnapshot } from "../snapshot/build.ts";
import type { MeshSettings } from "../snapshot/snapshot.ts";
import { defaultMeshSettings } from "../snapshot/snapshot.ts";
import { accessFor } from "./access.ts";

/** What policies as their authors write them say to requests, by the compiled rules that came over the wire. */

interface Asked extends Partial<Omit<AccessSubject, "request" | "peer">> {
  readonly method?: string;
  readonly host?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** `namespace/service-account`, or `trust.domain/namespace/service-account`. */
  readonly from?: string;
  readonly isTcp?: boolean;
}

function node(namespace = "shop", labels: ProxyNode["labels"] = { app: "product" }): ProxyNode {
  const identity = { kind: "sidecar" as const, name: "product", namespace };
  return {
    ...identity,
    id: proxyNodeId(identity, "127.0.0.1"),
    serviceAccount: "product",
    labels,
    bindings: { servers: new Map() },
  };
}

function policy(name: string, spec: string, { namespace = "shop", annotations = "" } = {}): string {
  return `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: ${namespace}, annotations: { ${annotations} } }
spec: ${spec}
---`;
}

function controlOf(
  texts: readonly string[],
  { at = node(), isTcp = false, settings = defaultMeshSettings } = {},
): AccessControl | undefined {
  const { resources, problems } = decodeText(texts.join(""), "policies.yaml", { now: 0 });
  expect(problems.filter(({ severity }) => severity !== "warning")).toEqual([]);
  const access = accessFor(buildSnapshot(resources, undefined, settings), at, isTcp ? "tcp" : "http");
  return access && overTheWire(access, isTcp);
}

function overTheWire(access: AccessControl, isTcp: boolean): AccessControl | undefined {
  const routes = { kind: "rds" as const, routeConfigName: "r" };
  const chain = isTcp
    ? { name: "c", tcp: { statPrefix: "t", destinations: [{ cluster: "c", weight: 1 }] }, access }
    : { name: "c", http: { statPrefix: "h", routes, access } };
  const listener: Listener = {
    name: "l",
    address: "0.0.0.0",
    port: 1,
    direction: "inbound",
    filterChains: [chain],
  };
  const decoded = decodeListener(encodeListener(listener));
  if (!decoded.ok) throw new Error(JSON.stringify(decoded.problems));
  const [first] = decoded.value.filterChains;
  return first?.http ? first.http.access : first?.access;
}

function subject(asked: Asked): AccessSubject {
  const { method = "GET", host = "product", path = "/", headers = {}, from, isTcp = false, ...rest } = asked;
  const parts = from?.split("/") ?? [];
  const [domain, namespace, serviceAccount] = parts.length === 3 ? parts : ["cluster.local", ...parts];
  return {
    sourceIp: "10.0.0.1",
    remoteIp: "10.0.0.1",
    destinationIp: "10.0.0.2",
    destinationPort: 9080,
    ...rest,
    ...(from === undefined
      ? {}
      : {
          peer: {
            spiffeId: `spiffe://${domain}/ns/${namespace}/sa/${serviceAccount}`,
            namespace: namespace!,
            serviceAccount: serviceAccount!,
          },
        }),
    ...(isTcp
      ? {}
      : {
          request: {
            method,
            scheme: "http",
            authority: host,
            path,
            header: (name) => headers[name],
            claims: rest.claims,
          },
        }),
  };
}

function isAllowed(
  texts: readonly string[],
  asked: Asked,
  more: Parameters<typeof controlOf>[1] = {},
): boolean {
  const access = controlOf(texts, { isTcp: asked.isTcp === true, ...more });
  return access === undefined || explainAccess(access, subject(asked)).isAllowed;
}

/** Whether a rule matches: what an ALLOW policy with it lets in. */
function matches(rule: string, asked: Asked): boolean {
  return isAllowed([policy("p", `{ rules: [${rule}] }`)], asked);
}

const anybody = "{ rules: [{}] }";
const nobody = "{}";

describe("case 39: the order of policies", () => {
  // covers AuthorizationPolicy action, rules[]
  it.each([
    ["no policy", [], true],
    ["an ALLOW that matches", [anybody], true],
    ["an ALLOW that does not match", ["{ rules: [{ to: [{ operation: { methods: [PUT] } }] }] }"], false],
    ["an ALLOW without rules", [nobody], false],
    ["a DENY that matches, and an ALLOW", [anybody, "{ action: DENY, rules: [{}] }"], false],
    ["a DENY without rules", ["{ action: DENY }"], true],
    [
      "a DENY that does not match",
      ["{ action: DENY, rules: [{ to: [{ operation: { paths: [/x] } }] }] }"],
      true,
    ],
    ["an AUDIT that matches", ["{ action: AUDIT, rules: [{}] }"], true],
    ["an AUDIT beside an ALLOW that does not match", ["{ action: AUDIT, rules: [{}] }", nobody], false],
    ["an unknown provider", ["{ action: CUSTOM, provider: { name: nobody }, rules: [{}] }", anybody], false],
    ["two ALLOWs, one of which matches", [nobody, anybody], true],
  ])("%s: allowed %s", (_what, specs, allowed) => {
    expect(
      isAllowed(
        specs.map((spec, index) => policy(`p${index}`, spec)),
        {},
      ),
    ).toBe(allowed);
  });

  it("only tries what is marked istio.io/dry-run", () => {
    const dry = { annotations: '"istio.io/dry-run": "true"' };
    expect(isAllowed([policy("p", "{ action: DENY, rules: [{}] }", dry)], {})).toBe(true);
    expect(isAllowed([policy("p", nobody, dry)], {})).toBe(true);
    const access = controlOf([policy("p", "{ action: DENY, rules: [{}] }", dry)])!;
    expect(explainAccess(access, subject({})).notes.join()).toMatch(/tried only: denied by .*shop\/p/);
  });

  // covers AuthorizationPolicy selector.matchLabels{}
  it("goes by namespace, root namespace and selector", () => {
    const elsewhere = { namespace: "other" };
    const root = { namespace: "istio-system" };
    expect(isAllowed([policy("p", nobody, elsewhere)], {})).toBe(true);
    expect(isAllowed([policy("p", nobody, root)], {})).toBe(false);
    const chosen = "{ selector: { matchLabels: { app: product } } }";
    const others = "{ selector: { matchLabels: { app: review } } }";
    expect(isAllowed([policy("p", chosen)], {})).toBe(false);
    expect(isAllowed([policy("p", others)], {})).toBe(true);
    expect(isAllowed([policy("p", chosen, root)], {})).toBe(false);
    expect(isAllowed([policy("p", others, root)], {})).toBe(true);
  });
});

describe("who calls", () => {
  // covers AuthorizationPolicy rules[].from[].source.principals[], rules[].from[].source.notPrincipals[]
  it.each([
    ["cluster.local/ns/shop/sa/ui", "shop/ui", true],
    ["cluster.local/ns/shop/sa/ui", "shop/uix", false],
    ["cluster.local/ns/shop/*", "shop/any", true],
    ["*/sa/ui", "other/ui", true],
    ["*", "other/ui", true],
    ["*", undefined, false],
    ["cluster.local/ns/cert-manager.io/sa/a", "cert-managerXio/a", false],
  ])("principal %s, caller %s: %s", (principal, from, expected) => {
    const asked = from === undefined ? {} : { from };
    expect(matches(`{ from: [{ source: { principals: ["${principal}"] } }] }`, asked)).toBe(expected);
    expect(matches(`{ from: [{ source: { notPrincipals: ["${principal}"] } }] }`, asked)).toBe(!expected);
  });

  // covers AuthorizationPolicy rules[].from[].source.namespaces[], rules[].from[].source.notNamespaces[]
  it.each([
    ["shop", "shop/ui", true],
    ["shop", "shopping/ui", false],
    ["shop*", "shopping/ui", true],
    ["*-prod", "shop-prod/ui", true],
    ["cert-manager.io", "cert-managerXio/ui", false],
  ])("namespace %s, caller %s: %s", (namespace, from, expected) => {
    expect(matches(`{ from: [{ source: { namespaces: ["${namespace}"] } }] }`, { from })).toBe(expected);
    expect(matches(`{ from: [{ source: { notNamespaces: ["${namespace}"] } }] }`, { from })).toBe(!expected);
  });

  // covers AuthorizationPolicy rules[].from[].source.serviceAccounts[], rules[].from[].source.notServiceAccounts[]
  it.each([
    ["ui", "shop/ui", true],
    ["ui", "other/ui", false],
    ["other/ui", "other/ui", true],
    ["ui", "shop/ui-x", false],
  ])("service account %s, caller %s: %s", (account, from, expected) => {
    expect(matches(`{ from: [{ source: { serviceAccounts: ["${account}"] } }] }`, { from })).toBe(expected);
    expect(matches(`{ from: [{ source: { notServiceAccounts: ["${account}"] } }] }`, { from })).toBe(
      !expected,
    );
  });

  // covers AuthorizationPolicy rules[].from[].source.trustDomains[], rules[].from[].source.notTrustDomains[]
  it.each([
    ["cluster.local", "cluster.local/shop/ui", true],
    ["cluster.local", "cluster.local.evil/shop/ui", false],
    ["*.example", "prod.example/shop/ui", true],
    ["*.example", "prodXexample/shop/ui", false],
  ])("trust domain %s, caller %s: %s", (domain, from, expected) => {
    expect(matches(`{ from: [{ source: { trustDomains: ["${domain}"] } }] }`, { from })).toBe(expected);
    expect(matches(`{ from: [{ source: { notTrustDomains: ["${domain}"] } }] }`, { from })).toBe(!expected);
  });

  // covers AuthorizationPolicy rules[].from[].source.ipBlocks[], rules[].from[].source.notIpBlocks[]
  // covers AuthorizationPolicy rules[].from[].source.remoteIpBlocks[], rules[].from[].source.notRemoteIpBlocks[]
  it.each([
    ["10.0.0.0/8", "10.1.2.3", true],
    ["10.0.0.0/8", "11.1.2.3", false],
    ["10.1.2.3", "::ffff:10.1.2.3", true],
    ["fd00::/8", "fd12::1", true],
    ["fd00::/8", "fe80::1%eth0", false],
  ])("address %s, caller %s: %s", (block, address, expected) => {
    const source = { sourceIp: address };
    const remote = { remoteIp: address };
    expect(matches(`{ from: [{ source: { ipBlocks: ["${block}"] } }] }`, source)).toBe(expected);
    expect(matches(`{ from: [{ source: { notIpBlocks: ["${block}"] } }] }`, source)).toBe(!expected);
    expect(matches(`{ from: [{ source: { remoteIpBlocks: ["${block}"] } }] }`, remote)).toBe(expected);
    expect(matches(`{ from: [{ source: { notRemoteIpBlocks: ["${block}"] } }] }`, remote)).toBe(!expected);
  });

  // covers AuthorizationPolicy rules[].from[].source.requestPrincipals[], rules[].from[].source.notRequestPrincipals[]
  it.each([
    ["https://issuer.example/alice", { iss: "https://issuer.example", sub: "alice" }, true],
    ["https://issuer.example/alice", { iss: "https://issuer.example", sub: "bob" }, false],
    ["https://issuer.example/*", { iss: "https://issuer.example", sub: "bob" }, true],
    ["*/alice", { iss: "x", sub: "alice" }, true],
    ["*", { iss: "x", sub: "y" }, true],
    ["*", undefined, false],
  ])("request principal %s, token %j: %s", (principal, claims, expected) => {
    const asked = claims === undefined ? {} : { claims };
    expect(matches(`{ from: [{ source: { requestPrincipals: ["${principal}"] } }] }`, asked)).toBe(expected);
    expect(matches(`{ from: [{ source: { notRequestPrincipals: ["${principal}"] } }] }`, asked)).toBe(
      !expected,
    );
  });

  it("knows the mesh's own trust domain by each of its names", () => {
    const settings: MeshSettings = { ...defaultMeshSettings, trustDomains: ["new.example", "old.example"] };
    const rule = (domain: string) =>
      policy("p", `{ rules: [{ from: [{ source: { principals: ["${domain}/ns/shop/sa/ui"] } }] }] }`);
    for (const written of ["cluster.local", "old.example", "new.example"])
      for (const from of ["new.example/shop/ui", "old.example/shop/ui"])
        expect(isAllowed([rule(written)], { from }, { settings })).toBe(true);
    expect(isAllowed([rule("cluster.local")], { from: "third.example/shop/ui" }, { settings })).toBe(false);
  });
});

describe("what is done", () => {
  // covers AuthorizationPolicy rules[].to[].operation.paths[], rules[].to[].operation.notPaths[]
  it.each([
    ["/admin", "/admin", true],
    ["/admin", "/admin?x=1", true],
    ["/admin", "/admin/", false],
    ["/admin*", "/administrator", true],
    ["*.js", "/a/b.js?v=1", true],
    ["*", "/", true],
    ["/users/{*}/orders", "/users/7/orders", true],
    ["/users/{*}/orders", "/users/7/8/orders", false],
    ["/users/{*}", "/users/*", true],
    ["/users/{*}", "/users/", false],
    ["/a/{**}", "/a/b/c", true],
    ["/a/{**}/z", "/a/b/c/z", true],
    ["/a/{**}/z", "/a/b/c", false],
  ])("path %s, asked for %s: %s", (path, asked, expected) => {
    expect(matches(`{ to: [{ operation: { paths: ["${path}"] } }] }`, { path: asked })).toBe(expected);
    expect(matches(`{ to: [{ operation: { notPaths: ["${path}"] } }] }`, { path: asked })).toBe(!expected);
  });

  // covers AuthorizationPolicy rules[].to[].operation.hosts[], rules[].to[].operation.notHosts[]
  it.each([
    ["admin.example.com", "admin.example.com", true],
    ["admin.example.com", "ADMIN.Example.com.", true],
    ["Admin.example.com", "admin.example.com:8080", true],
    ["admin.example.com:80", "admin.example.com:8080", false],
    ["admin.example.com:80", "admin.example.com:080", true],
    ["*.example.com", "a.example.com:8080", true],
    ["*.example.com", "aXexample.com", false],
    ["admin*", "administration", true],
    ["admin.example.com", "admin.example.com.evil", false],
  ])("host %s, asked for %s: %s", (host, asked, expected) => {
    expect(matches(`{ to: [{ operation: { hosts: ["${host}"] } }] }`, { host: asked })).toBe(expected);
    expect(matches(`{ to: [{ operation: { notHosts: ["${host}"] } }] }`, { host: asked })).toBe(!expected);
  });

  // covers AuthorizationPolicy rules[].to[].operation.methods[], rules[].to[].operation.notMethods[]
  // covers AuthorizationPolicy rules[].to[].operation.ports[], rules[].to[].operation.notPorts[]
  it("goes by method and port", () => {
    expect(matches("{ to: [{ operation: { methods: [GET, 'P*'] } }] }", { method: "PUT" })).toBe(true);
    expect(matches("{ to: [{ operation: { methods: [GET] } }] }", { method: "PUT" })).toBe(false);
    expect(matches("{ to: [{ operation: { notMethods: [GET] } }] }", { method: "GET" })).toBe(false);
    expect(matches('{ to: [{ operation: { ports: ["9080"] } }] }', {})).toBe(true);
    expect(matches('{ to: [{ operation: { ports: ["80"] } }] }', {})).toBe(false);
    expect(matches('{ to: [{ operation: { notPorts: ["9080"] } }] }', {})).toBe(false);
  });

  // covers AuthorizationPolicy rules[].from[], rules[].to[], rules[].when[], rules[].from[].source, rules[].to[].operation
  it("asks for one of from, one of to, and all of when", () => {
    const rule = `{
      from: [{ source: { namespaces: [a] } }, { source: { namespaces: [b], ipBlocks: [10.0.0.0/8] } }],
      to: [{ operation: { methods: [GET] } }, { operation: { methods: [PUT], paths: [/x] } }],
      when: [{ key: destination.port, values: ["9080"] }, { key: "request.headers[x]", notValues: ["no"] }] }`;
    expect(matches(rule, { from: "a/x" })).toBe(true);
    expect(matches(rule, { from: "b/x", method: "PUT", path: "/x" })).toBe(true);
    expect(matches(rule, { from: "b/x", sourceIp: "192.168.0.1" })).toBe(false);
    expect(matches(rule, { from: "a/x", method: "PUT", path: "/y" })).toBe(false);
    expect(matches(rule, { from: "a/x", headers: { x: "no" } })).toBe(false);
    expect(matches(rule, { from: "c/x" })).toBe(false);
  });
});

describe("when", () => {
  const claims = {
    iss: "i",
    sub: "s",
    aud: ["web", "api"],
    azp: "app",
    groups: ["admin", "dev"],
    org: { id: 7 },
  };

  // covers AuthorizationPolicy rules[].when[].key, rules[].when[].values[], rules[].when[].notValues[]
  it.each([
    ["request.headers[X-Role]", "admin", { headers: { "x-role": "admin" } }, true],
    ["request.headers[X-Role]", "*", { headers: { "x-role": "" } }, true],
    ["request.headers[X-Role]", "*", {}, false],
    ["source.ip", "10.0.0.0/8", {}, true],
    ["remote.ip", "192.168.0.0/16", {}, false],
    ["source.namespace", "shop", { from: "shop/ui" }, true],
    ["source.principal", "cluster.local/ns/shop/sa/ui", { from: "shop/ui" }, true],
    ["source.serviceAccount", "shop/ui", { from: "shop/ui" }, true],
    ["source.trustDomain", "cluster.local", { from: "shop/ui" }, true],
    ["request.auth.principal", "i/s", { claims }, true],
    ["request.auth.audiences", "api", { claims }, true],
    ["request.auth.audiences", "other", { claims }, false],
    ["request.auth.presenter", "app", { claims }, true],
    ["request.auth.claims[groups]", "dev", { claims }, true],
    ["request.auth.claims[groups]", "dev,admin", { claims }, false],
    ["request.auth.claims[org][id]", "7", { claims }, true],
    ["request.auth.claims[constructor]", "*", { claims }, false],
    ["destination.ip", "10.0.0.2", {}, true],
    ["destination.port", "9080", {}, true],
    ["connection.sni", "*.example.com", { serverName: "a.example.com" }, true],
    ["connection.sni", "*.example.com", {}, false],
  ] as const)("%s %s with %j: %s", (key, value, asked, expected) => {
    expect(matches(`{ when: [{ key: "${key}", values: ["${value}"] }] }`, asked)).toBe(expected);
    expect(matches(`{ when: [{ key: "${key}", notValues: ["${value}"] }] }`, asked)).toBe(!expected);
  });

  it("case 35: looks at every value of a field that was sent twice, on the safe side", () => {
    const twice = { headers: { "x-role": "user,admin" } };
    const deny = (condition: string) => policy("p", `{ action: DENY, rules: [{ when: [${condition}] }] }`);
    expect(isAllowed([deny('{ key: "request.headers[x-role]", values: [admin] }')], twice)).toBe(false);
    expect(isAllowed([deny('{ key: "request.headers[x-role]", notValues: [user] }')], twice)).toBe(false);
    expect(matches('{ when: [{ key: "request.headers[x-role]", values: [admin] }] }', twice)).toBe(false);
    expect(matches('{ when: [{ key: "request.headers[x-role]", notValues: [admin] }] }', twice)).toBe(false);
  });
});

describe("what was tried before", () => {
  it("case 36: bytes that are no UTF-8 neither match nor break a match", () => {
    const odd = { headers: { "x-role": "adm\xff\xfein" } };
    const deny = (values: string) =>
      policy(
        "p",
        `{ action: DENY, rules: [{ when: [{ key: "request.headers[x-role]", notValues: [${values}] }] }] }`,
      );
    expect(isAllowed([deny("admin")], odd)).toBe(false);
    expect(isAllowed([deny('"adm*"')], odd)).toBe(true);
    expect(matches('{ when: [{ key: "request.headers[x-role]", values: [admin] }] }', odd)).toBe(false);
    expect(matches('{ when: [{ key: "request.headers[x-role]", values: ["*"] }] }', odd)).toBe(true);
  });

  it("case 37: a dot is a dot, and a star in a path is a segment like any other", () => {
    const account = '{ from: [{ source: { serviceAccounts: ["infra/cert-manager.io"] } }] }';
    expect(matches(account, { from: "infra/cert-manager.io" })).toBe(true);
    expect(matches(account, { from: "infra/cert-managerXio" })).toBe(false);
    expect(matches('{ to: [{ operation: { paths: ["/users/{*}"] } }] }', { path: "/users/*" })).toBe(true);
  });
});

describe("connections whose bytes nobody reads", () => {
  const deny = (rule: string) => policy("p", `{ action: DENY, rules: [${rule}] }`);
  const isTcp = true;

  it("are denied by what would ask about a request, and not let in by it", () => {
    const path = "{ to: [{ operation: { paths: [/admin] } }] }";
    expect(isAllowed([deny(path)], { isTcp })).toBe(false);
    expect(isAllowed([policy("p", `{ rules: [${path}] }`)], { isTcp })).toBe(false);
    expect(isAllowed([policy("p", `{ rules: [${path}, {}] }`)], { isTcp })).toBe(true);
  });

  it("are still judged by the rest of such a rule", () => {
    const rule = "{ from: [{ source: { namespaces: [bad] } }], to: [{ operation: { methods: [GET] } }] }";
    expect(isAllowed([deny(rule)], { isTcp, from: "bad/x" })).toBe(false);
    expect(isAllowed([deny(rule)], { isTcp, from: "good/x" })).toBe(true);
  });

  it("case 38: are denied by the end of a principal (CVE-2020-16844)", () => {
    expect(
      isAllowed([deny('{ from: [{ source: { principals: ["*-test"] } }] }')], { isTcp, from: "a/x-test" }),
    ).toBe(false);
  });
});

describe("the words for a refusal", () => {
  it("name the policy that denies", () => {
    const access = controlOf([
      policy("no", "{ action: DENY, rules: [{ to: [{ operation: { paths: [/a] } }] }] }"),
    ])!;
    const { why } = explainAccess(access, subject({ path: "/a" }));
    expect(why).toMatch(/^denied by AuthorizationPolicy\/shop\/no \(policies\.yaml:\d+\)$/);
  });

  it("name the nearest policy that could allow it, and what it lacks", () => {
    const access = controlOf([
      policy(
        "far",
        "{ rules: [{ from: [{ source: { namespaces: [x] } }], to: [{ operation: { methods: [PUT] } }] }] }",
      ),
      policy(
        "near",
        "{ rules: [{ from: [{ source: { namespaces: [x] } }], to: [{ operation: { methods: [GET] } }] }] }",
      ),
    ])!;
    const { why } = explainAccess(access, subject({ from: "shop/ui" }));
    expect(why).toMatch(
      /nearest is AuthorizationPolicy\/shop\/near .*: source namespace is "shop", wanted exact "x"/,
    );
  });
});
