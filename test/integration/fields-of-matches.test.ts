import { request } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ProxyApp } from "../../proxy/app.ts";
import type { ProxyOptions } from "../../proxy/config.ts";
import type { EchoServer } from "../support/echo-server.ts";
import { startEcho } from "../support/echo-server.ts";
import { sceneOfEachTest } from "../support/scene.ts";
import { onlyPort, resourceYaml, serviceYaml } from "../support/yaml-mesh.ts";

/** What each field of a VirtualService's matches does to a request: those that match go to v2, the others to v1. */

let echoes: readonly EchoServer[] = [];
beforeAll(async () => {
  echoes = await Promise.all(["v1", "v2"].map((name) => startEcho(name)));
});
afterAll(() => Promise.all(echoes.map((echo) => echo.stop())));

const { meshOf } = sceneOfEachTest();

interface Ask {
  readonly path?: string;
  readonly host?: string;
  readonly method?: "GET" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
}

const reviews = "reviews.default.svc.cluster.local";

describe("a match in a sidecar", () => {
  // covers VirtualService http[], http[].match[].uri, http[].match[].ignoreUriCase, http[].match[].scheme, http[].match[].method
  // covers VirtualService http[].match[].authority, http[].match[].headers{}, http[].match[].withoutHeaders{}, http[].match[].queryParams{}
  // covers VirtualService http[].route[].destination.host, http[].route[].destination.subset, hosts[]
  // covers DestinationRule host, subsets[].name, subsets[].labels{}
  // covers ServiceEntry hosts[], endpoints[].labels{}, endpoints[].address, endpoints[].ports{}, ports[].number, ports[].name
  it.each<[string, string, readonly Ask[], readonly Ask[]]>([
    [
      "uri exact",
      "{ uri: { exact: /a } }",
      [{ path: "/a" }, { path: "/a?x" }],
      [{ path: "/a/" }, { path: "/A" }],
    ],
    ["uri prefix", "{ uri: { prefix: /a } }", [{ path: "/a/b" }, { path: "/ab" }], [{ path: "/b/a" }]],
    ["uri regex", "{ uri: { regex: '/a[0-9]+' } }", [{ path: "/a1" }], [{ path: "/a1b" }, { path: "/x/a1" }]],
    ["ignoreUriCase", "{ uri: { exact: /Ab }, ignoreUriCase: true }", [{ path: "/aB" }], [{ path: "/aBc" }]],
    ["scheme", "{ scheme: { exact: http } }", [{}], []],
    ["another scheme", "{ scheme: { exact: https } }", [], [{}]],
    ["method", "{ method: { regex: P.*T } }", [{ method: "POST" }], [{ method: "GET" }]],
    ["authority", `{ authority: { exact: ${reviews} } }`, [{ host: reviews }], [{ host: "reviews" }]],
    ["header", "{ headers: { who: { exact: me } } }", [ask({ Who: "me" })], [{}, ask({ who: "you" })]],
    ["header presence", "{ headers: { who: {} } }", [ask({ who: "" }), ask({ who: "you" })], [{}]],
    [
      "two headers",
      "{ headers: { a: { prefix: x }, b: { regex: y+ } } }",
      [ask({ a: "xx", b: "yy" })],
      [ask({ a: "x" })],
    ],
    ["no header", "{ withoutHeaders: { who: {} } }", [{}], [ask({ who: "me" })]],
    [
      "other header",
      "{ withoutHeaders: { who: { exact: me } } }",
      [{}, ask({ who: "you" })],
      [ask({ who: "me" })],
    ],
    [
      "query",
      "{ queryParams: { q: { exact: '1' } } }",
      [{ path: "/?a=0&q=1" }],
      [{ path: "/?q=2" }, { path: "/?a=1" }],
    ],
    [
      "cookie",
      "{ headers: { cookie: { regex: '(.*; *)?user=x(;.*)?' } } }",
      [ask({ cookie: "a=b; user=x" })],
      [ask({ cookie: "user=xy" })],
    ],
    [
      "gRPC method",
      "{ uri: { prefix: /pkg.Svc/Get } }",
      [{ path: "/pkg.Svc/GetOne" }],
      [{ path: "/pkg.Svc/Put" }],
    ],
  ])("by %s", async (_name, match, chosen, others) => {
    const { proxy } = await sidecar(match);
    for (const one of chosen) expect([one, await by(proxy, one)]).toEqual([one, "v2"]);
    for (const one of others) expect([one, await by(proxy, one)]).toEqual([one, "v1"]);
  });

  // covers VirtualService http[].match[].sourceLabels{}, http[].match[].sourceNamespace
  it.each<[string, string, Partial<ProxyOptions>, Partial<ProxyOptions>]>([
    ["source labels", "{ sourceLabels: { app: web } }", { labels: "app=web,v=1" }, { labels: "app=job" }],
    ["source namespace", "{ sourceNamespace: team }", { namespace: "team" }, { namespace: "other" }],
  ])("by %s of the caller", async (_name, match, caller, other) => {
    expect(await by((await sidecar(match, caller)).proxy, { host: reviews })).toBe("v2");
    expect(await by((await sidecar(match, other)).proxy, { host: reviews })).toBe("v1");
  });

  // covers VirtualService http[].match[].port
  it("by the port that the request asks for", async () => {
    const { proxy } = await sidecar(
      "{ port: 81 }",
      {},
      "{ number: 80, name: http }, { number: 81, name: http-b }",
    );
    expect(await by(proxy, { host: "reviews:81" })).toBe("v2");
    expect(await by(proxy, { host: "reviews:80" })).toBe("v1");
  });

  // covers VirtualService http[].match[].name, http[].name
  it("is told by the names of rule and match", async () => {
    const { proxy } = await sidecar(
      "{ name: fast, uri: { prefix: /a } }, { name: slow, uri: { prefix: /b } }",
    );
    const hosts = [...proxy.config().routes.values()].flatMap(({ virtualHosts }) => virtualHosts);
    const lines = hosts.flatMap(({ routes }) => routes.map(({ name }) => name));
    expect(lines).toEqual(expect.arrayContaining(["canary.fast", "canary.slow", "rest"]));
  });

  it("takes the first rule of the list that matches", async () => {
    const mesh = await meshOf(
      ...base(),
      virtualService(
        "{ uri: { prefix: / } }\n  route: [{ destination: { host: reviews, subset: v1 } }]\n- match:\n  - { uri: { exact: /a } }",
      ),
    );
    expect(await by(await mesh.proxy(), { path: "/a" })).toBe("v1");
  });
});

describe("a match in a gateway", () => {
  // covers VirtualService gateways[], http[].match[].gateways[]
  // covers Gateway selector{}, servers[].port.number, servers[].port.name, servers[].port.protocol, servers[].hosts[]
  it("by the gateway that the request came through", async () => {
    const rule = virtualService("{ gateways: [edge] }", "gateways: [mesh, edge, side]", ["shop.example.com"]);
    const mesh = await meshOf(...base(), gatewayYaml("edge"), gatewayYaml("side"), rule);
    for (const [name, version] of [
      ["edge", "v2"],
      ["side", "v1"],
    ] as const) {
      const proxy = await mesh.proxy({
        kind: "gateway",
        name,
        labels: `app=${name}`,
        bind: ["80=127.0.0.1:1"],
      });
      expect(await by(proxy, { host: "shop.example.com" })).toBe(version);
      expect(await status(proxy, { host: "reviews" }), "a host that the VirtualService does not name").toBe(
        404,
      );
    }
    expect(await by(await mesh.proxy(), { host: "shop.example.com" }), "in a sidecar").toBe("v1");
  });
});

function gatewayYaml(name: string): string {
  return resourceYaml(
    "Gateway",
    name,
    `selector: { app: ${name} }\nservers:\n- { port: { number: 80, name: http, protocol: HTTP }, hosts: ["*/*.example.com"] }`,
  );
}

function base(ports = "{ number: 80, name: http }"): readonly string[] {
  const [v1, v2] = echoes.map(({ port }) => port) as [number, number];
  const service = serviceYaml("reviews", { v1, v2 }).replace("{ number: 80, name: http }", ports);
  const everyPort = service.replaceAll(/ports: \{ http: (\d+) \}/g, "ports: { http: $1, http-b: $1 }");
  return [
    ports.includes("http-b") ? everyPort : service,
    resourceYaml(
      "DestinationRule",
      "reviews",
      "host: reviews\nsubsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }]",
    ),
  ];
}

function virtualService(match: string, more = "", hosts: readonly string[] = ["reviews"]): string {
  return resourceYaml(
    "VirtualService",
    "reviews",
    `
hosts: [${hosts.join()}]
${more}
http:
- name: canary
  match: ${match.includes("\n") ? `\n  - ${match}` : `[${match}]`}
  route: [{ destination: { host: reviews, subset: v2 } }]
- name: rest
  route: [{ destination: { host: reviews, subset: v1 } }]`,
  );
}

async function sidecar(
  match: string,
  options: Partial<ProxyOptions> = {},
  ports?: string,
): Promise<{ proxy: ProxyApp }> {
  const mesh = await meshOf(...base(ports), virtualService(match));
  return { proxy: await mesh.proxy(options) };
}

function ask(headers: Readonly<Record<string, string>>): Ask {
  return { headers };
}

async function send(proxy: ProxyApp, { path = "/", host = "reviews", method = "GET", headers = {} }: Ask) {
  const answer = await request(`http://127.0.0.1:${onlyPort(proxy)}${path}`, {
    method,
    headers: { ...headers, host },
  });
  await answer.body.dump();
  return answer;
}

async function by(proxy: ProxyApp, one: Ask): Promise<unknown> {
  const { headers, statusCode } = await send(proxy, one);
  return headers["x-served-by"] ?? statusCode;
}

async function status(proxy: ProxyApp, one: Ask): Promise<number> {
  return (await send(proxy, one)).statusCode;
}
