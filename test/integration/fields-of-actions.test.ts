import type { RequestListener } from "node:http";
import { request } from "undici";
import { describe, expect, it } from "vitest";
import type { ProxyApp } from "../../proxy/app.ts";
import type { EchoServer } from "../support/echo-server.ts";
import { sceneOfEachTest } from "../support/scene.ts";
import type { YamlMesh } from "../support/yaml-mesh.ts";
import { onlyPort, resourceYaml, serviceYaml } from "../support/yaml-mesh.ts";

/** What each field of a VirtualService's actions does, from YAML to sockets: a sidecar, and a service `reviews` of two versions. */

const { echo, meshOf } = sceneOfEachTest();

const toV1 = "route: [{ destination: { host: reviews, subset: v1 } }]";
const toV2 = "route: [{ destination: { host: reviews, subset: v2 } }]";

describe("a destination", () => {
  // covers VirtualService http[].route[].weight
  it("gets its share of the requests, and one without weight nothing", async () => {
    const { get } = await sidecar(`route:
    - { destination: { host: reviews, subset: v1 }, weight: 1 }
    - { destination: { host: reviews, subset: v2 }, weight: 3 }`);
    const served = await Promise.all(Array.from({ length: 400 }, async () => (await get()).by));
    const share = served.filter((by) => by === "v2").length / served.length;
    expect(share).toBeGreaterThan(0.62);
    expect(share).toBeLessThan(0.88);
  });

  // covers VirtualService http[].route[].destination.port.number
  // covers ServiceEntry ports[].targetPort
  it("is asked for at the port that is named", async () => {
    const other = await echo("other");
    const { get } = await sidecar("route: [{ destination: { host: two, port: { number: 81 } } }]", [
      resourceYaml(
        "ServiceEntry",
        "two",
        `hosts: [two]
location: MESH_INTERNAL
resolution: STATIC
ports: [{ number: 80, name: http }, { number: 81, name: http-b, targetPort: ${other.port} }]
endpoints: [{ address: 127.0.0.1 }]`,
      ),
    ]);
    expect((await get()).by).toBe("other");
  });

  // covers VirtualService http[].route[].headers.request.set{}, http[].route[].headers.request.add{}, http[].route[].headers.request.remove[]
  // covers VirtualService http[].route[].headers.response, http[].headers
  it("gets the headers of its rule and its own, and its answer those for the caller", async () => {
    const { get } = await sidecar(`
  headers:
    request: { set: { a: rule }, add: { b: rule } }
    response: { set: { x-rule: "yes" }, remove: [x-secret] }
  route:
  - destination: { host: reviews, subset: v1 }
    headers:
      request: { set: { c: "%REQ(:path)%" }, add: { b: destination }, remove: [gone] }
      response: { add: { x-own: "1" } }`);
    const { headers, seen } = await get("/p", { a: "client", gone: "now", b: "client" });
    expect(seen).toMatchObject({ a: "rule", b: "client, destination, rule", c: "/p" });
    expect(seen).not.toHaveProperty("gone");
    expect(headers).toMatchObject({ "x-rule": "yes", "x-own": "1" });
    expect(headers).not.toHaveProperty("x-secret");
  });
});

describe("a redirect", () => {
  // covers VirtualService http[].redirect.uri, http[].redirect.prefixRewrite, http[].redirect.authority, http[].redirect.scheme
  // covers VirtualService http[].redirect.port, http[].redirect.derivePort, http[].redirect.redirectCode
  it.each([
    ["{ uri: /new }", 301, "http://reviews/new?q"],
    ["{ uri: /new, redirectCode: 307 }", 307, "http://reviews/new?q"],
    ["{ prefixRewrite: /n }", 301, "http://reviews/n/x?q"],
    ["{ authority: shop }", 301, "http://shop/old/x?q"],
    ["{ scheme: https }", 301, "https://reviews/old/x?q"],
    ["{ port: 8443 }", 301, "http://reviews:8443/old/x?q"],
    ["{ scheme: https, derivePort: FROM_PROTOCOL_DEFAULT }", 301, "https://reviews/old/x?q"],
  ])("as %s answers %i %s", async (redirect, status, location) => {
    const { get } = await sidecar(`match: [{ uri: { prefix: /old } }]\n  redirect: ${redirect}`);
    expect(await get("/old/x?q")).toMatchObject({ status, headers: { location } });
  });
});

describe("a direct response", () => {
  // covers VirtualService http[].directResponse.status, http[].directResponse.body.string, http[].directResponse.body.bytes
  it.each([
    ["{ status: 418, body: { string: short } }", 418, "short"],
    ["{ status: 200, body: { bytes: aGVsbG8= } }", 200, "hello"],
    ["{ status: 503 }", 503, ""],
  ])("as %s needs no destination", async (response, status, text) => {
    const { get, v1 } = await sidecar(`directResponse: ${response}`);
    expect(await get()).toMatchObject({ status, text });
    expect(v1.requests).toBe(0);
  });
});

describe("a delegate", () => {
  // covers VirtualService http[].delegate.name, http[].delegate.namespace
  it("brings the rules of the VirtualService that it names, in the namespace that it names", async () => {
    const elsewhere = (namespace: string, status: number) =>
      resourceYaml("VirtualService", `part`, `http: [{ directResponse: { status: ${status} } }]`).replace(
        "name: part",
        `name: part, namespace: ${namespace}`,
      );
    const others = [elsewhere("default", 201), elsewhere("team", 202)];
    const own = await sidecar("delegate: { name: part }", others);
    expect((await own.get()).status).toBe(201);
    const team = await sidecar("delegate: { name: part, namespace: team }", others);
    expect((await team.get()).status).toBe(202);
  });
});

describe("a rewrite", () => {
  // covers VirtualService http[].rewrite.uri, http[].rewrite.authority
  // covers VirtualService http[].rewrite.uriRegexRewrite.match, http[].rewrite.uriRegexRewrite.rewrite
  it.each([
    ["{ uri: /new }", "/new/x?q", "reviews"],
    ["{ authority: shop }", "/old/x?q", "shop"],
    ["{ uriRegexRewrite: { match: '/old/(.)', rewrite: '/got/\\1' } }", "/got/x?q", "reviews"],
  ])("as %s changes what the app sees", async (rewrite, url, host) => {
    const { get, v1 } = await sidecar(`match: [{ uri: { prefix: /old } }]\n  rewrite: ${rewrite}\n  ${toV1}`);
    const { seen } = await get("/old/x?q");
    expect([v1.last?.url, seen["host"]]).toEqual([url, host]);
  });
});

describe("time-outs and retries", () => {
  // covers VirtualService http[].timeout
  it("end a request that takes longer than its rule allows", async () => {
    const { get } = await sidecar(`timeout: 50ms\n  ${toV1}`, [], { v1: () => {} });
    expect(await get()).toMatchObject({ status: 504, text: expect.stringContaining("request_timeout") });
  });

  // covers VirtualService http[].retries.attempts, http[].retries.retryOn
  it("try again so often, on what is named", async () => {
    const failing: RequestListener = (_request, response) => response.writeHead(503).end();
    const twice = await sidecar(`retries: { attempts: 2, retryOn: "503", backoff: 1ms }\n  ${toV1}`, [], {
      v1: failing,
    });
    expect((await twice.get()).status).toBe(503);
    expect(twice.v1.requests).toBe(3);
    const other = await sidecar(`retries: { attempts: 2, retryOn: "502" }\n  ${toV1}`, [], { v1: failing });
    await other.get();
    expect(other.v1.requests).toBe(1);
    const off = await sidecar(`retries: { attempts: 0 }\n  ${toV1}`, [], { v1: failing });
    await off.get();
    expect(off.v1.requests).toBe(1);
  });

  // covers VirtualService http[].retries.perTryTimeout
  it("give up an attempt after its own time-out and make the next", async () => {
    let asked = 0;
    const late: RequestListener = (_request, response) => asked++ > 0 && response.end("second");
    const retries = "{ attempts: 1, perTryTimeout: 100ms, retryOn: 5xx }";
    const { get } = await sidecar(`retries: ${retries}\n  ${toV1}`, [], { v1: late });
    expect(await get()).toMatchObject({ status: 200, text: "second" });
  });

  // covers VirtualService http[].retries.backoff
  it("wait between attempts as long as backoff says, with jitter", async () => {
    const failing: RequestListener = (_request, response) => response.writeHead(503).end();
    const took = async (backoff: string) => {
      const retries = `{ attempts: 6, retryOn: 5xx, backoff: ${backoff} }`;
      const { get } = await sidecar(`retries: ${retries}\n  ${toV1}`, [], { v1: failing });
      const startedAt = performance.now();
      await get();
      return performance.now() - startedAt;
    };
    // Six waits, each drawn from 0 to a bound that grows to ten times the base: all short together is one in many millions.
    expect(await took("100ms")).toBeGreaterThan(150);
  });

  // covers VirtualService http[].retries.retryIgnorePreviousHosts
  it.each([
    ["unless told otherwise", "", (again: number) => again < 20],
    ["but not when told otherwise", ", retryIgnorePreviousHosts: false", (again: number) => again > 20],
  ])("go to another endpoint than the one that failed, %s", async (_when, field, isFine) => {
    const retries = `retries: { attempts: 1, retryOn: 5xx, backoff: 1ms${field} }`;
    const { get } = await sidecar(`${retries}\n  route: [{ destination: { host: reviews } }]`, [], {
      v1: (_request, response) => response.writeHead(503).end(),
      policy: "trafficPolicy: { retryBudget: { percent: 100 } }",
    });
    let again = 0;
    for (let count = 0; count < 200; count++) if ((await get()).by === "v1") again++;
    // By chance alone a quarter comes to the same endpoint twice; of six draws one is nearly always another.
    expect(again).toSatisfy(isFine);
  });
});

describe("a fault", () => {
  // covers VirtualService http[].fault.delay.fixedDelay, http[].fault.delay.percentage.value
  it("delays the share that is named, all or none", async () => {
    const delay = (value: number) =>
      `fault: { delay: { fixedDelay: 150ms, percentage: { value: ${value} } } }\n  ${toV1}`;
    const all = await sidecar(delay(100));
    expect((await timed(all.get)).ms).toBeGreaterThanOrEqual(149);
    const none = await sidecar(delay(0).replace("150ms", "1h"));
    expect((await none.get()).status).toBe(200);
  });

  // covers VirtualService http[].fault.delay.exponentialDelay, http[].fault.delay.percent
  it("delays by chance around a mean, with the old name of the share", async () => {
    const { get } = await sidecar(`fault: { delay: { exponentialDelay: 50ms, percent: 100 } }\n  ${toV1}`);
    const took = await Promise.all(Array.from({ length: 40 }, async () => (await timed(get)).ms));
    const mean = took.reduce((sum, ms) => sum + ms, 0) / took.length;
    expect(mean).toBeGreaterThan(20);
    expect(Math.max(...took) - Math.min(...took)).toBeGreaterThan(20);
  });

  // covers VirtualService http[].fault.abort.httpStatus, http[].fault.abort.percentage.value
  it("aborts the share that is named with its status", async () => {
    const { get, v1 } = await sidecar(
      `fault: { abort: { httpStatus: 418, percentage: { value: 100 } } }\n  ${toV1}`,
    );
    expect((await get()).status).toBe(418);
    expect(v1.requests).toBe(0);
    const none = await sidecar(`fault: { abort: { httpStatus: 418 } }\n  ${toV1}`);
    expect((await none.get()).status).toBe(200);
  });

  // covers VirtualService http[].fault.abort.grpcStatus
  it("aborts gRPC calls with a gRPC status", async () => {
    const { get } = await sidecar(
      `fault: { abort: { grpcStatus: UNAVAILABLE, percentage: { value: 100 } } }\n  ${toV1}`,
    );
    const answer = await get("/", { "content-type": "application/grpc" });
    expect(answer).toMatchObject({ status: 200, headers: { "grpc-status": "14" } });
  });
});

describe("a mirror", () => {
  // covers VirtualService http[].mirror, http[].mirrors[].destination, http[].mirrors[].percentage.value
  // covers VirtualService http[].mirrorPercentage.value, http[].mirrorPercent, http[].mirror_percent
  it.each([
    ["mirror: { host: reviews, subset: v2 }", 10],
    ["mirror: { host: reviews, subset: v2 }\n  mirrorPercentage: { value: 0 }", 0],
    ["mirror: { host: reviews, subset: v2 }\n  mirrorPercent: 0", 0],
    ["mirror: { host: reviews, subset: v2 }\n  mirror_percent: 0", 0],
    ["mirrors: [{ destination: { host: reviews, subset: v2 } }]", 10],
    ["mirrors: [{ destination: { host: reviews, subset: v2 }, percentage: { value: 0 } }]", 0],
  ])("as %s copies %i of 10 requests", async (mirror, copies) => {
    const { get, v1, v2 } = await sidecar(`${mirror}\n  ${toV1}`);
    for (let count = 0; count < 10; count++) expect((await get()).by).toBe("v1");
    await expect.poll(() => v2.requests).toBe(copies);
    expect(v1.requests).toBe(10);
  });
});

describe("a CORS policy", () => {
  const policy = `corsPolicy:
    allowOrigins: [{ exact: "https://shop" }]
    allowMethods: [GET, PUT]
    allowHeaders: [x-a]
    exposeHeaders: [x-b]
    maxAge: 2m
    allowCredentials: true`;
  const preflight = (origin: string) => ({ origin, "access-control-request-method": "PUT" });

  // covers VirtualService http[].corsPolicy.allowOrigins[], http[].corsPolicy.allowMethods[], http[].corsPolicy.allowHeaders[]
  // covers VirtualService http[].corsPolicy.exposeHeaders[], http[].corsPolicy.maxAge, http[].corsPolicy.allowCredentials
  it("answers preflights of its origins and marks other answers", async () => {
    const { get, v1 } = await sidecar(`${policy}\n  ${toV1}`);
    const allowed = await get("/", preflight("https://shop"), "OPTIONS");
    expect(allowed).toMatchObject({
      status: 200,
      headers: {
        "access-control-allow-origin": "https://shop",
        "access-control-allow-methods": "GET,PUT",
        "access-control-allow-headers": "x-a",
        "access-control-max-age": "120",
        "access-control-allow-credentials": "true",
      },
    });
    expect(v1.requests).toBe(0);
    expect((await get("/", { origin: "https://shop" })).headers).toMatchObject({
      "access-control-allow-origin": "https://shop",
      "access-control-expose-headers": "x-b",
    });
    expect((await get("/", { origin: "https://evil" })).headers).not.toHaveProperty(
      "access-control-allow-origin",
    );
  });

  // covers VirtualService http[].corsPolicy.allowOrigin[]
  it("knows the old name of its origins, where * means all", async () => {
    const { get } = await sidecar(`corsPolicy: { allowOrigin: ["*"] }\n  ${toV1}`);
    expect((await get("/", { origin: "https://any" })).headers).toHaveProperty("access-control-allow-origin");
  });

  // covers VirtualService http[].corsPolicy.unmatchedPreflights
  it("passes preflights of other origins on, unless it is told to ignore them", async () => {
    const forward = await sidecar(`${policy}\n  ${toV1}`);
    expect((await forward.get("/", preflight("https://evil"), "OPTIONS")).by).toBe("v1");
    const ignore = await sidecar(`${policy}\n    unmatchedPreflights: IGNORE\n  ${toV1}`);
    expect((await ignore.get("/", preflight("https://evil"), "OPTIONS")).by).toBeUndefined();
  });
});

describe("a VirtualService", () => {
  // covers VirtualService exportTo[]
  it("holds only in the namespaces that it is exported to", async () => {
    const { mesh } = await sidecar(toV2, [], {}, "exportTo: ['.']");
    const ask = (proxy: ProxyApp) => send(proxy, "/", { host: "reviews.default.svc.cluster.local" }, "GET");
    const [own, other] = [await mesh.proxy(), await mesh.proxy({ namespace: "other" })];
    for (let count = 0; count < 4; count++) expect((await ask(own)).by).toBe("v2");
    const served = await Promise.all(Array.from({ length: 20 }, async () => (await ask(other)).by));
    expect(served).toContain("v1");
  });
});

interface Answer {
  readonly status: number;
  readonly text: string;
  /** `x-served-by` */
  readonly by: string | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  /** The request's headers as the app saw them. */
  readonly seen: Readonly<Record<string, unknown>>;
}

type Get = (
  path?: string,
  headers?: Readonly<Record<string, string>>,
  method?: "GET" | "OPTIONS",
) => Promise<Answer>;

async function sidecar(
  rule: string,
  more: readonly string[] = [],
  answers: { readonly v1?: RequestListener; readonly policy?: string } = {},
  spec = "",
): Promise<{ get: Get; mesh: YamlMesh; v1: EchoServer; v2: EchoServer }> {
  const v1 = await echo("v1", answers.v1 ?? withSecret);
  const v2 = await echo("v2");
  const subsets = "[{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }]";
  const mesh = await meshOf(
    serviceYaml("reviews", { v1: v1.port, v2: v2.port }),
    resourceYaml("DestinationRule", "reviews", `host: reviews\nsubsets: ${subsets}\n${answers.policy ?? ""}`),
    resourceYaml(
      "VirtualService",
      "reviews",
      `hosts: [reviews]\n${spec}\nhttp:\n- ${rule.trimStart()}\n- ${toV2}`,
    ),
    ...more,
  );
  const proxy = await mesh.proxy();
  return {
    get: (path = "/", headers = {}, method = "GET") => send(proxy, path, headers, method),
    mesh,
    v1,
    v2,
  };
}

/** Tells what it was asked, with a header that nobody outside should see. */
const withSecret: RequestListener = (asked, response) => {
  asked.resume();
  response.setHeader("x-secret", "1").end(JSON.stringify({ headers: asked.headers }));
};

async function send(
  proxy: ProxyApp,
  path: string,
  headers: Readonly<Record<string, string>>,
  method: "GET" | "OPTIONS",
): Promise<Answer> {
  const url = `http://127.0.0.1:${onlyPort(proxy)}${path}`;
  const {
    statusCode,
    headers: got,
    body,
  } = await request(url, { method, headers: { host: "reviews", ...headers } });
  const text = await body.text();
  const seen = text.startsWith("{") ? (JSON.parse(text).headers as Record<string, unknown>) : {};
  return { status: statusCode, text, by: got["x-served-by"] as string | undefined, headers: got, seen };
}

async function timed(get: Get): Promise<{ readonly ms: number }> {
  const startedAt = performance.now();
  await get();
  return { ms: performance.now() - startedAt };
}
