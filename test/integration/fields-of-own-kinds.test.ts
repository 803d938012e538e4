import type { RequestListener } from "node:http";
import { request } from "undici";
import { describe, expect, it } from "vitest";
import type { CircuitBreakerPolicy } from "../../common/model/circuit-breaker.ts";
import type { RateLimitRule } from "../../common/model/rate-limit.ts";
import type { ProxyApp } from "../../proxy/app.ts";
import { sceneOfEachTest } from "../support/scene.ts";
import { onlyPort, resourceYaml, serviceYaml } from "../support/yaml-mesh.ts";

/** What each field of CircuitBreaker and RateLimit does, from YAML to answers. */

const { echo, meshOf } = sceneOfEachTest();

const failing: RequestListener = (_request, response) => response.writeHead(500).end("failed");
/** Opens at the second failure. */
const quick = "volumeThreshold: 2";

describe("a CircuitBreaker", () => {
  // covers CircuitBreaker target.service.host, target.service.subset, target.service.port
  it.each([
    ["{ host: reviews }", [true, true]],
    ["{ host: reviews, subset: v1 }", [true, false]],
    ["{ host: reviews, port: 80 }", [true, true]],
    ["{ host: reviews, port: 81 }", [false, false]],
    ["{ host: other }", [false, false]],
  ])("for the service %s opens for v1 and v2: %j", async (service, opens) => {
    const { ask } = await breakerMesh(`target: { service: ${service} }\n${quick}`);
    for (const [index, path] of ["/v1", "/v2"].entries())
      expect([path, await isOpenAfter(2, () => ask(path))]).toEqual([path, opens[index]]);
  });

  // covers CircuitBreaker target.route.virtualService, target.route.rule
  it.each([
    ["{ virtualService: reviews }", [true, true]],
    ["{ virtualService: reviews, rule: first }", [true, false]],
    ["{ virtualService: none }", [false, false]],
  ])("for the route %s opens for its rules: %j", async (route, opens) => {
    const { ask } = await breakerMesh(`target: { route: ${route} }\n${quick}`);
    for (const [index, path] of ["/v1", "/v2"].entries())
      expect([path, await isOpenAfter(2, () => ask(path))]).toEqual([path, opens[index]]);
  });

  // covers CircuitBreaker volumeThreshold, errorRate, errors[]
  it.each([
    ["volumeThreshold: 2", 2, true],
    ["volumeThreshold: 3", 2, false],
    ["volumeThreshold: 3", 3, true],
    ["volumeThreshold: 4, errorRate: 100, errors: ['500']", 4, true],
    ["volumeThreshold: 4, errors: ['501', reset]", 4, false],
  ])("with %s is after %i failures open: %j", async (fields, failures, isOpen) => {
    const { ask } = await breakerMesh(
      `target: { service: { host: reviews } }\n${fields.replaceAll(/, (?=err)/g, "\n")}`,
    );
    expect(await isOpenAfter(failures, () => ask("/v1"))).toBe(isOpen);
  });

  // covers CircuitBreaker errorRate
  it("stays closed while less than its rate fails", async () => {
    for (const [rate, isOpen] of [
      [60, false],
      [50, true],
    ] as const) {
      let count = 0;
      const half: RequestListener = (_request, response) =>
        response.writeHead(count++ % 2 === 0 ? 200 : 500).end();
      const spec = `target: { service: { host: reviews } }\nvolumeThreshold: 4\nerrorRate: ${rate}`;
      const { ask } = await breakerMesh(spec, half);
      expect([rate, await isOpenAfter(4, () => ask("/v1"))]).toEqual([rate, isOpen]);
    }
  });

  // covers CircuitBreaker slowCallRate, slowCallDuration
  it("opens for answers that are too slow", async () => {
    const slow: RequestListener = (_request, response) => void setTimeout(() => response.end("late"), 60);
    for (const [duration, isOpen] of [
      ["10ms", true],
      ["1h", false],
    ] as const) {
      const spec = `target: { service: { host: reviews } }\n${quick}\nslowCallRate: 100\nslowCallDuration: ${duration}`;
      const { ask } = await breakerMesh(spec, slow);
      expect([duration, await isOpenAfter(2, () => ask("/v1"))]).toEqual([duration, isOpen]);
    }
  });

  // covers CircuitBreaker resetTimeout
  it("tries again after its reset time", async () => {
    const { ask, v1 } = await breakerMesh(
      `target: { service: { host: reviews } }\n${quick}\nresetTimeout: 50ms`,
    );
    expect(await isOpenAfter(2, () => ask("/v1"))).toBe(true);
    const again = () => ask("/v1").then(() => v1.requests);
    await expect.poll(again).toBeGreaterThan(2);
  });

  // covers CircuitBreaker fallback.directResponse.status, fallback.directResponse.body, fallback.directResponse.headers{}
  it("answers what it was told to", async () => {
    const response = "{ status: 203, body: not available, headers: { x-from: fallback } }";
    const { ask } = await breakerMesh(
      `target: { service: { host: reviews } }\nfallback: { directResponse: ${response} }`,
    );
    expect(await ask("/v1")).toMatchObject({
      status: 203,
      text: "not available",
      headers: { "x-from": "fallback" },
    });
  });

  // covers CircuitBreaker fallback.destination.host, fallback.destination.subset, fallback.destination.port.number
  it.each(["{ host: reviews, subset: spare }", "{ host: spare }", "{ host: spare, port: { number: 80 } }"])(
    "goes to %s instead",
    async (destination) => {
      const { ask } = await breakerMesh(
        `target: { service: { host: reviews, subset: v1 } }\nfallback: { destination: ${destination} }`,
      );
      expect(await ask("/v1")).toMatchObject({ status: 200, by: "spare" });
    },
  );

  // covers CircuitBreaker fallback.lastGoodResponse.vary[], fallback.lastGoodResponse.maxBytes
  it("answers with the last good response to who asked the same, if it is not too long", async () => {
    const served = async (field: string, user: string) => {
      let isGood = true;
      const once: RequestListener = (_request, response) =>
        response.writeHead(isGood ? 200 : 500).end("good");
      const { ask } = await breakerMesh(
        `target: { service: { host: reviews } }\nfallback: { lastGoodResponse: { ${field} } }`,
        once,
      );
      await ask("/v1", { "x-user": "mara" });
      isGood = false;
      return (await ask("/v1", { "x-user": user })).status;
    };
    expect(await served("maxAge: 1m", "jonas")).toBe(200);
    expect(await served("vary: [x-user]", "jonas")).toBe(500);
    expect(await served("vary: [x-user]", "mara")).toBe(200);
    expect(await served("maxBytes: 3", "mara")).toBe(500);
  });

  // covers CircuitBreaker errorRate, slowCallRate, slowCallDuration, volumeThreshold, rollingWindow, resetTimeout, halfOpenProbes
  // covers CircuitBreaker fallback.lastGoodResponse.maxAge, fallback.lastGoodResponse.maxBytes
  it.each<[string, Partial<CircuitBreakerPolicy>]>([
    ["errorRate: 12.5", { errorRate: 0.125 }],
    ["volumeThreshold: 9", { volumeThreshold: 9 }],
    ["rollingWindow: 1m", { windowMs: 60_000 }],
    ["resetTimeout: 2s", { resetMs: 2_000 }],
    ["halfOpenProbes: 3", { probes: 3 }],
    ["slowCallRate: 25\nslowCallDuration: 70ms", { slowCalls: { rate: 0.25, durationMs: 70 } }],
    ["fallback: { lastGoodResponse: { maxAge: 9s } }", { fallback: lastGood({ maxAgeMs: 9_000 }) }],
    ["fallback: { lastGoodResponse: { maxBytes: 99 } }", { fallback: lastGood({ maxBytes: 99 }) }],
  ])("with %s runs so in the proxy", async (fields, policy) => {
    const { proxy } = await breakerMesh(`target: { service: { host: reviews } }\n${fields}`);
    const all = [...proxy.config().routes.values()].flatMap(({ virtualHosts }) =>
      virtualHosts.flatMap(({ routes }) => routes),
    );
    const found = all.flatMap(({ action }) => (action.kind === "forward" ? action.destinations : []));
    expect(found.flatMap(({ breaker }) => breaker ?? [])[0]).toMatchObject(policy);
  });
});

describe("a RateLimit", () => {
  const one = "rules: [{ limit: { requests: 1, per: 1h, burst: 2 } }]";

  // covers RateLimit target.gateway.name
  it("counts requests through a gateway", async () => {
    const a = await echo("a");
    const gateways = ["edge", "side"].map((name) =>
      resourceYaml(
        "Gateway",
        name,
        `selector: { app: ${name} }\nservers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: ["*"] }]`,
      ),
    );
    const route = resourceYaml(
      "VirtualService",
      "svc",
      "hosts: ['*']\ngateways: [edge, side]\nhttp: [{ route: [{ destination: { host: svc } }] }]",
    );
    const mesh = await meshOf(
      ...[
        serviceYaml("svc", { v1: a.port }),
        ...gateways,
        route,
        resourceYaml("RateLimit", "few", `target: { gateway: { name: edge } }\n${one}`),
      ],
    );
    const bind = ["80=127.0.0.1:1"];
    expect(await statuses(await mesh.proxy({ kind: "gateway", labels: "app=edge", bind }), 3)).toEqual([
      200, 200, 429,
    ]);
    expect(await statuses(await mesh.proxy({ kind: "gateway", labels: "app=side", bind }), 3)).toEqual([
      200, 200, 200,
    ]);
  });

  // covers RateLimit target.workloads{}, target.service.host
  it.each([
    ["workloads: { app: web }", [200, 200, 429]],
    ["workloads: { app: job }", [200, 200, 200]],
    ["workloads: {}", [200, 200, 429]],
    ["service: { host: svc }", [200, 200, 429]],
    ["service: { host: other }", [200, 200, 200]],
  ])("counts requests to %s", async (target, expected) => {
    const a = await echo("a");
    const service = serviceYaml("svc", { v1: 1 });
    const mesh = await meshOf(
      ...[
        service,
        service.replaceAll("svc", "other").replace("http: 1 }", "http: 2 }"),
        resourceYaml("RateLimit", "few", `target: { ${target} }\n${one}`),
      ],
    );
    const into = {
      outbound: undefined,
      inbound: "127.0.0.1:1",
      app: `127.0.0.1:${a.port}`,
      labels: "app=web",
    };
    expect(await statuses(await mesh.proxy(into), 3)).toEqual(expected);
  });

  // covers RateLimit target.route.virtualService, target.route.rule
  it.each([
    ["{ virtualService: svc }", [429, 429]],
    ["{ virtualService: svc, rule: first }", [429, 200]],
    ["{ virtualService: other }", [200, 200]],
  ])("counts requests that %s routes", async (route, thirds) => {
    const { ask } = await limited(`target: { route: ${route} }\n${one}`);
    for (const [index, path] of ["/first", "/rest"].entries()) {
      // Both rules of a VirtualService count together.
      const last = [await ask(path), await ask(path), await ask(path)].at(-1)!;
      expect([path, last.status]).toEqual([path, thirds[index]]);
    }
  });

  // covers RateLimit rules[].key[].header, rules[].key[].queryParam, rules[].key[].attribute
  it.each<[string, Ask, Ask]>([
    ["{ header: X-User }", { headers: { "x-user": "a" } }, { headers: { "x-user": "b" } }],
    ["{ queryParam: user }", { path: "/first?user=a" }, { path: "/first?user=b" }],
    ["{ attribute: PATH }", { path: "/first?user=a" }, { path: "/first/b" }],
    ["{ attribute: METHOD }", { method: "GET" }, { method: "POST" }],
  ])("counts apart by %s", async (key, first, second) => {
    const { ask } = await limited(
      `target: { route: { virtualService: svc } }\nrules: [{ key: [${key}], limit: { requests: 1, per: 1h } }]`,
    );
    const status = async ({ path = "/first", ...rest }: Ask) => (await ask(path, rest)).status;
    expect([await status(first), await status(first), await status(second), await status(second)]).toEqual([
      200, 429, 200, 429,
    ]);
  });

  // covers RateLimit rules[].limit.requests, rules[].limit.per, rules[].limit.burst, rules[].name, rules[].maxKeys
  it("says its name and numbers, and lets through what they allow", async () => {
    const { ask, proxy } = await limited(`target: { route: { virtualService: svc } }
rules: [{ name: few, key: [{ header: x-user }], limit: { requests: 10, per: 2m, burst: 3 }, maxKeys: 2 }]`);
    const answers = [];
    for (const user of ["a", "a", "a", "a"])
      answers.push(await ask("/first", { headers: { "x-user": user } }));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 429]);
    expect(answers[0]!.headers["ratelimit-policy"]).toBe('"default/limit/few";q=3;w=36');
    expect(Number(answers[3]!.headers["retry-after"])).toBeGreaterThan(9);
    expect(Number(answers[3]!.headers["retry-after"])).toBeLessThan(13);
    // The third and fourth user share what is beyond the two that are counted apart.
    const others = [];
    for (const user of ["b", "c", "d", "c", "d"])
      others.push((await ask("/first", { headers: { "x-user": user } })).status);
    expect(others).toEqual([200, 200, 200, 200, 429]);
    const rules = [...proxy.config().routes.values()].flatMap(({ virtualHosts }) =>
      virtualHosts.flatMap(({ routes }) =>
        routes.flatMap(({ rateLimits }): readonly RateLimitRule[] => rateLimits ?? []),
      ),
    );
    expect(rules[0]).toMatchObject({ requests: 10, perMs: 120_000, burst: 3, maxKeys: 2 });
  });
});

interface Ask {
  readonly path?: string;
  readonly method?: "GET" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly by: unknown;
  readonly headers: Readonly<Record<string, unknown>>;
}

function lastGood(fields: object): NonNullable<CircuitBreakerPolicy["fallback"]> {
  return expect.objectContaining({ kind: "last-good-response", ...fields }) as NonNullable<
    CircuitBreakerPolicy["fallback"]
  >;
}

/** A sidecar, the service `reviews` whose v1 and v2 fail, and `spare`, which does not. Rule `first` goes to v1, `rest` to v2. */
async function breakerMesh(spec: string, handle: RequestListener = failing) {
  const [v1, v2, spare] = [await echo("v1", handle), await echo("v2", handle), await echo("spare")];
  const subsets = ["v1", "v2", "spare"]
    .map((name) => `{ name: ${name}, labels: { version: ${name} } }`)
    .join();
  const mesh = await meshOf(
    ...[
      serviceYaml("reviews", { v1: v1.port, v2: v2.port, spare: spare.port }),
      serviceYaml("spare", { v1: spare.port }),
      resourceYaml("DestinationRule", "reviews", `host: reviews\nsubsets: [${subsets}]`),
      resourceYaml(
        "VirtualService",
        "reviews",
        `hosts: [reviews]\nhttp:\n${rule("first", "/v1", "v1")}\n${rule("rest", "/", "v2")}`,
      ),
      resourceYaml("CircuitBreaker", "breaker", spec),
    ],
  );
  const proxy = await mesh.proxy();
  return {
    proxy,
    v1,
    ask: (path: string, headers = {}) => send(proxy, { path, headers: { host: "reviews", ...headers } }),
  };
}

function rule(name: string, prefix: string, subset: string): string {
  return `- { name: ${name}, match: [{ uri: { prefix: ${prefix} } }], route: [{ destination: { host: reviews, subset: ${subset} } }] }`;
}

/** Whether the call after so many is held back. */
async function isOpenAfter(calls: number, ask: () => Promise<Answer>): Promise<boolean> {
  for (let count = 0; count < calls; count++) expect((await ask()).text).not.toContain("circuit_open");
  return (await ask()).text.includes("circuit_open");
}

async function limited(spec: string) {
  const a = await echo("a");
  const to = "route: [{ destination: { host: svc } }]";
  const http = `http:\n- { name: first, match: [{ uri: { prefix: /first } }], ${to} }\n- { name: rest, ${to} }`;
  const mesh = await meshOf(
    ...[
      serviceYaml("svc", { v1: a.port }),
      resourceYaml("VirtualService", "svc", `hosts: [svc]\n${http}`),
      resourceYaml("RateLimit", "limit", spec),
    ],
  );
  const proxy = await mesh.proxy();
  const ask = (path: string, { headers = {}, ...rest }: Ask = {}) =>
    send(proxy, { ...rest, path, headers: { host: "svc", ...headers } });
  return { proxy, ask };
}

async function send(proxy: ProxyApp, { path = "/", method = "GET", headers = {} }: Ask): Promise<Answer> {
  const answer = await request(`http://127.0.0.1:${onlyPort(proxy)}${path}`, { method, headers });
  const text = await answer.body.text();
  return { status: answer.statusCode, text, by: answer.headers["x-served-by"], headers: answer.headers };
}

async function statuses(proxy: ProxyApp, count: number): Promise<number[]> {
  const all: number[] = [];
  for (let index = 0; index < count; index++)
    all.push((await send(proxy, { headers: { host: "svc" } })).status);
  return all;
}
