import { mkdtempSync, rmSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { systemClock } from "../../common/base/clock.ts";
import type { LoadBalancer } from "../../common/model/cluster.ts";
import type { HealthCheck, HealthProbe } from "../../common/model/health-check.ts";
import { defaultOutlierDetection } from "../../common/model/outlier-detection.ts";
import type {
  ForwardAction,
  HeaderOperations,
  Route,
  RouteMatch,
  VirtualHost,
} from "../../common/model/route.ts";
import { noHeaderOperations } from "../../common/model/route.ts";
import { encodeCluster } from "../../common/xds/cluster.ts";
import type { ResourceSet } from "../../common/xds/encoded-resource.ts";
import { encodedResource } from "../../common/xds/encoded-resource.ts";
import { encodeEndpoints } from "../../common/xds/endpoint.ts";
import { encodeListener } from "../../common/xds/listener.ts";
import { encodeRouteConfiguration, encodeVirtualHost } from "../../common/xds/route.ts";
import { typeUrl } from "../../common/xds/type-url.ts";
import type { ProxyStatus } from "../../control-plane/serve/proxy-status.ts";
import { XdsServer } from "../../control-plane/serve/server.ts";
import type { RunningEnvoy } from "../support/envoy.ts";
import { envoyBinary, startEnvoy } from "../support/envoy.ts";
import { edsCluster, endpoint, outboundListener, routeTo } from "../support/xds-mesh.ts";

/** A real Envoy as data plane of our control plane: it must accept everything that we encode, and do what it says. */

const binary = await envoyBinary((reason) => console.warn(reason));
const headers = (set: HeaderOperations["set"]): HeaderOperations => ({ ...noHeaderOperations, set });
const anyMatch: RouteMatch = { path: { kind: "any" }, headers: [], queryParams: [] };
const at = (prefix: string, more: Partial<RouteMatch> = {}): RouteMatch => ({
  ...anyMatch,
  path: { kind: "prefix", value: prefix, ignoreCase: false },
  ...more,
});

function forward(more: Partial<ForwardAction> = {}, cluster = "v1"): ForwardAction {
  return { ...(routeTo(cluster).action as ForwardAction), ...more };
}

function destination(cluster: string, weight: number) {
  return {
    destination: cluster,
    weight,
    requestHeaders: noHeaderOperations,
    responseHeaders: headers([["x-from", cluster]]),
  };
}

const source = { kind: "VirtualService", namespace: "default", name: "shop", file: "shop.yaml", line: 3 };

/** One route per thing that we can say. */
const routes: readonly Route[] = [
  {
    ...routeTo("v1"),
    name: "everything",
    source,
    match: {
      path: { kind: "exact", value: "/Everything", ignoreCase: true },
      method: { kind: "exact", value: "GET" },
      scheme: { kind: "exact", value: "http" },
      authority: { kind: "prefix", value: "shop" },
      headers: [
        { name: "x-user", match: { kind: "regex", value: "jas(on|mine)" }, invert: false },
        { name: "x-trace", invert: false },
        { name: "x-bot", match: { kind: "exact", value: "yes" }, invert: true },
        { name: "x-none", invert: true },
      ],
      queryParams: [{ name: "page", match: { kind: "exact", value: "2" } }, { name: "q" }],
    },
    action: forward({
      timeoutMs: 3000,
      retry: {
        attempts: 2,
        perTryTimeoutMs: 1000,
        on: ["connect-failure", "5xx"],
        statusCodes: [503],
        baseIntervalMs: 25,
        maxIntervalMs: 250,
      },
      mirrors: [{ destination: "v2", fraction: 1, shadowHostSuffix: false }],
    }),
    requestHeaders: {
      set: [
        ["x-set", "1"],
        ["x-empty", ""],
      ],
      add: [["x-add", "2"]],
      remove: ["x-user"],
    },
    responseHeaders: headers([["x-route", "everything"]]),
    cors: {
      allowOrigins: [{ kind: "exact", value: "https://shop.example" }],
      allowMethods: ["GET"],
      allowHeaders: ["x-user"],
      exposeHeaders: ["x-route"],
      maxAgeSeconds: 60,
      allowCredentials: true,
      forwardUnmatchedPreflights: false,
    },
  },
  {
    ...routeTo("balancer-0"),
    match: at("/hash"),
    action: forward(
      {
        hashPolicies: [
          { kind: "header", name: "x-user" },
          { kind: "cookie", name: "session", path: "/", ttlMs: 60_000 },
          { kind: "source-ip" },
          { kind: "query-parameter", name: "user" },
        ],
      },
      "balancer-0",
    ),
  },
  {
    ...routeTo("v1"),
    match: at("/split"),
    action: forward({ destinations: [destination("v1", 50), destination("v2", 50)] }),
  },
  {
    ...routeTo("v1"),
    match: at("/old/"),
    action: forward({ rewrite: { prefix: "/new/", authority: "rewritten.example" } }),
  },
  {
    ...routeTo("v1"),
    match: { ...anyMatch, path: { kind: "regex", value: "/item/[0-9]+" } },
    action: forward({ rewrite: { regex: { pattern: "/item/([0-9]+)", substitution: "/items?id=\\1" } } }),
  },
  {
    ...routeTo("v1"),
    match: at("/moved"),
    action: {
      kind: "redirect",
      prefix: "/there",
      authority: "other.example",
      scheme: "https",
      port: 8443,
      status: 308,
    },
  },
  {
    ...routeTo("v1"),
    match: at("/direct"),
    action: { kind: "direct-response", status: 418, body: new TextEncoder().encode("teapot") },
  },
  { ...routeTo("v1"), match: at("/abort"), fault: { abort: { fraction: 1, httpStatus: 555 } } },
  {
    ...routeTo("v1"),
    match: at("/grpc-abort"),
    fault: { abort: { fraction: 1, grpcStatus: "UNAVAILABLE" } },
  },
  { ...routeTo("v1"), match: at("/slow"), fault: { delay: { fraction: 1, kind: "exponential", ms: 200 } } },
  { ...routeTo("v2") },
];

interface Reply {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

function get(port: number, path: string, more: Record<string, string> = {}, method = "GET"): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const call = request(
      { host: "127.0.0.1", port, path, method, agent: false, headers: { host: "shop.example:80", ...more } },
      (response) => {
        let body = "";
        response.on("data", (chunk) => (body += chunk));
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
        );
      },
    );
    call.on("error", reject);
    call.end();
  });
}

/** Answers with its name and what it saw. */
async function startBackend(name: string) {
  const seen: string[] = [];
  const server = createServer((incoming, response) => {
    seen.push(`${incoming.method} ${incoming.url}`);
    response.end(JSON.stringify({ name, url: incoming.url, headers: incoming.headers }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { port, seen, stop: () => new Promise((resolve) => server.close(resolve).closeAllConnections()) };
}

async function freePort(): Promise<number> {
  const backend = await startBackend("");
  await backend.stop();
  return backend.port;
}

const warmup = { durationMs: 30_000, minimumPercent: 10, aggression: 1.5 };
const balancers: readonly LoadBalancer[] = [
  { kind: "ring-hash", minimumRingSize: 64 },
  { kind: "maglev", tableSize: 251 },
  { kind: "round-robin", warmup, weighsLocalities: true },
  { kind: "peak-ewma", warmup },
];

/** The server speaks HTTP/1.1, so the last two fail. */
const probes: readonly HealthProbe[] = [
  {
    kind: "http",
    path: "/up?a=b",
    method: "HEAD",
    host: "inner",
    headers: [["x-check", "1"]],
    expectedStatuses: [{ start: 200, end: 300 }],
    retriableStatuses: [{ start: 100, end: 600 }],
  },
  { kind: "tcp", send: "50494e47", receive: ["504f4e47"] },
  { kind: "grpc", service: "shop", authority: "inner" },
];
const rhythm: Omit<HealthCheck, "probe"> = {
  intervalMs: 100,
  unhealthyIntervalMs: 200,
  noTrafficIntervalMs: 100,
  intervalJitterMs: 10,
  intervalJitterPercent: 10,
  initialJitterMs: 10,
  timeoutMs: 1_000,
  healthyThreshold: 1,
  unhealthyThreshold: 1,
  reusesConnection: true,
  minHealthPercent: 30,
  endsEjection: true,
};

function shop(
  ports: { readonly v1: number; readonly v2: number; readonly listener: number },
  hostRoutes: readonly Route[],
): ResourceSet {
  const names = ["v1", "v2"] as const;
  const clusters = [
    ...names.map((name) => ({
      ...edsCluster(name),
      source,
      service: { hostname: "shop.example", name: "shop", namespace: "default" },
    })),
    {
      ...edsCluster("random"),
      loadBalancer: { kind: "random" as const },
      connectionPool: {
        maxConnections: 100,
        maxPendingRequests: 100,
        maxRequests: 100,
        maxRetries: 10,
        maxRequestsPerConnection: 2,
        idleTimeoutMs: 30_000,
        maxConnectionDurationMs: 60_000,
        tcpKeepalive: { probes: 3, timeSeconds: 60, intervalSeconds: 10 },
      },
      outlierDetection: { ...defaultOutlierDetection, consecutiveGatewayErrors: 3, splitLocalOrigin: true },
      retryBudget: { fraction: 0.2, minConcurrency: 3 },
      discovery: { kind: "static" as const, endpoints: [endpoint("127.0.0.1", 1)] },
    },
    {
      ...edsCluster("dns"),
      loadBalancer: { kind: "least-request" as const },
      discovery: { kind: "dns" as const, endpoints: [endpoint("localhost", ports.v1)] },
    },
    {
      ...edsCluster("dns-by-turns"),
      discovery: {
        kind: "dns" as const,
        endpoints: [endpoint("localhost", ports.v1)],
        isLogical: true as const,
      },
    },
    ...probes.map((probe) => ({
      ...edsCluster(`checked-by-${probe.kind}`),
      outlierDetection: { ...defaultOutlierDetection, minHealthPercent: 30 },
      healthCheck: { ...rhythm, probe },
      ...(probe.kind === "grpc" && { protocol: "http2" as const }),
      discovery: { kind: "static" as const, endpoints: [endpoint("127.0.0.1", ports.v1)] },
    })),
    ...balancers.map((loadBalancer, index) => ({
      ...edsCluster(`balancer-${index}`),
      loadBalancer,
      discovery: {
        kind: "static" as const,
        endpoints: [
          { ...endpoint("127.0.0.1", ports.v1), localityWeight: 700_000 },
          { ...endpoint("127.0.0.1", ports.v2), priority: 1 },
        ],
      },
    })),
    {
      ...edsCluster("PassthroughCluster"),
      loadBalancer: { kind: "passthrough" as const },
      discovery: { kind: "original-dst" as const },
    },
  ];
  const workload = { name: "shop-v1", namespace: "default", serviceAccount: "shop", labels: { app: "shop" } };
  const locality = { region: "r", zone: "z", subzone: "" };
  const virtualHost: VirtualHost = {
    name: "shop.example:80",
    domains: ["shop.example", "shop.example:80", "shop"],
    routes: hostRoutes,
  };
  const resources = {
    cluster: clusters.map((cluster) => encodedResource(cluster.name, encodeCluster(cluster))),
    endpoints: names.map((name) =>
      encodedResource(
        name,
        encodeEndpoints({
          cluster: name,
          endpoints: [{ ...endpoint("127.0.0.1", ports[name]), workload, locality }],
        }),
      ),
    ),
    listener: [encodedResource("outbound", encodeListener({ ...outboundListener(ports.listener), source }))],
    "route-configuration": [
      encodedResource(
        "http_proxy",
        encodeRouteConfiguration({ name: "http_proxy", virtualHosts: [], vhds: true }),
      ),
    ],
    "virtual-host": [encodedResource("http_proxy/shop.example:80", encodeVirtualHost(virtualHost))],
  };
  return new Map(
    Object.entries(resources).map(([kind, list]) => [
      typeUrl[kind as keyof typeof typeUrl],
      new Map(list.map((resource) => [resource.name, resource])),
    ]),
  );
}

describe.skipIf(binary === undefined).each(["DELTA_GRPC", "GRPC"])("Envoy over %s", (apiType) => {
  let ports: { v1: number; v2: number; listener: number };
  let backends: Awaited<ReturnType<typeof startBackend>>[];
  let server: XdsServer;
  let envoy: RunningEnvoy;
  let resources: ResourceSet;
  const folder = mkdtempSync(join(tmpdir(), "weft-envoy-"));
  const nacks: string[] = [];
  const status = (): ProxyStatus | undefined => server.proxies()[0];

  beforeAll(async () => {
    backends = [await startBackend("v1"), await startBackend("v2")];
    ports = { v1: backends[0]!.port, v2: backends[1]!.port, listener: await freePort() };
    resources = shop(ports, routes);
    const source = { resourcesFor: () => resources };
    const nacked = (_: unknown, kind: string, { why }: { why: string }) => nacks.push(`${kind}: ${why}`);
    server = new XdsServer({ source, clock: systemClock, version: "v1", events: { nacked } });
    const { port } = await server.listen({ host: "127.0.0.1", port: 0 });
    envoy = await startEnvoy(binary!, bootstrap(port, apiType), folder);
    const ready = async () => {
      expect(status()?.version).toBe("v1");
      expect(await envoy.admin("/ready")).toContain("LIVE");
      expect((await get(ports.listener, "/")).status).toBe(200);
    };
    await vi.waitFor(ready, { timeout: 30_000, interval: 50 });
  });

  afterAll(async () => {
    await envoy?.stop();
    await server?.stop();
    for (const backend of backends) await backend.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it("accepts every resource", () => {
    expect(nacks).toEqual([]);
    expect(status()?.client).toBe("envoy");
    const runs = [...(status()?.types ?? [])].map(
      ([kind, type]) => `${kind}: ${[...type.runs.keys()].join(" ")}`,
    );
    expect(runs).toEqual([
      "cluster: v1 v2 random dns dns-by-turns checked-by-http checked-by-tcp checked-by-grpc balancer-0 balancer-1 balancer-2 balancer-3 PassthroughCluster",
      "endpoints: v1 v2",
      "listener: outbound",
      "route-configuration: http_proxy",
    ]);
  });

  it("obeys all kinds of predicates, header operations and mirrors", async () => {
    const match = { "x-user": "jason", "x-trace": "" };
    const reply = await get(ports.listener, "/everything?page=2&q", match);
    expect(reply.headers["x-route"]).toBe("everything");
    const { name, headers: seen } = JSON.parse(reply.body);
    expect(name).toBe("v1");
    expect([seen["x-set"], seen["x-empty"], seen["x-add"], seen["x-user"]]).toEqual([
      "1",
      "",
      "2",
      undefined,
    ]);
    await expect.poll(() => backends[1]!.seen).toContain("GET /everything?page=2&q");
    const misses = [
      get(ports.listener, "/everything?page=3&q", match),
      get(ports.listener, "/everything?page=2", match),
      get(ports.listener, "/everything?page=2&q", { ...match, "x-user": "jas" }),
      get(ports.listener, "/everything?page=2&q", { "x-user": "jason" }),
      get(ports.listener, "/everything?page=2&q", { ...match, "x-bot": "yes" }),
      get(ports.listener, "/everything?page=2&q", { ...match, "x-none": "" }),
      get(ports.listener, "/everything?page=2&q", match, "POST"),
    ];
    for (const miss of await Promise.all(misses)) expect(JSON.parse(miss.body).name).toBe("v2");
  });

  it("answers CORS preflights from the route's policy", async () => {
    const origin = { origin: "https://shop.example" };
    const match = { "x-user": "jason", "x-trace": "" };
    const reply = await get(ports.listener, "/everything?page=2&q", { ...match, ...origin });
    expect(reply.headers["access-control-allow-origin"]).toBe("https://shop.example");
    expect(reply.headers["access-control-allow-credentials"]).toBe("true");
  });

  it("hashes by what we ask for, and makes the cookie", async () => {
    const reply = await get(ports.listener, "/hash");
    expect([reply.status, JSON.parse(reply.body).name]).toEqual([200, "v1"]);
    expect(String(reply.headers["set-cookie"])).toContain("session=");
  });

  it("checks endpoints as we do", async () => {
    await expect.poll(() => backends[0]!.seen).toContain("HEAD /up?a=b");
    await expect
      .poll(async () =>
        [
          ...(await envoy.admin("/clusters")).matchAll(
            /^checked-by-(\w+)::[^:]+:\d+::health_flags::(\S+)$/gm,
          ),
        ].map(([, kind, flags]) => `${kind} ${flags!.includes("/failed_active_hc") ? "fails" : "passes"}`),
      )
      .toEqual(expect.arrayContaining(["http passes", "grpc fails"]));
  });

  it("splits by weight", async () => {
    const from = await Promise.all(Array.from({ length: 60 }, () => get(ports.listener, "/split")));
    expect(new Set(from.map((reply) => reply.headers["x-from"]))).toEqual(new Set(["v1", "v2"]));
  });

  it("rewrites prefixes, regexes and the authority", async () => {
    const old = JSON.parse((await get(ports.listener, "/old/x")).body);
    expect([old.url, old.headers.host]).toEqual(["/new/x", "rewritten.example"]);
    expect(JSON.parse((await get(ports.listener, "/item/7")).body).url).toBe("/items?id=7");
  });

  it("redirects and answers directly", async () => {
    const moved = await get(ports.listener, "/moved/a?b=1");
    expect([moved.status, moved.headers.location]).toEqual([308, "https://other.example:8443/there/a?b=1"]);
    const direct = await get(ports.listener, "/direct");
    expect([direct.status, direct.body]).toEqual([418, "teapot"]);
  });

  it("injects faults", async () => {
    expect((await get(ports.listener, "/abort")).status).toBe(555);
    const aborted = await get(ports.listener, "/grpc-abort", { "content-type": "application/grpc" });
    expect(aborted.headers["grpc-status"]).toBe("14");
    const start = systemClock.monotonic();
    expect((await get(ports.listener, "/slow")).status).toBe(200);
    expect(systemClock.monotonic() - start).toBeGreaterThanOrEqual(195);
  });

  it("takes a changed route without a failed request, and lets go of what went", async () => {
    const before = (await get(ports.listener, "/")).body;
    expect(JSON.parse(before).name).toBe("v2");
    let isDone = false;
    const statuses: number[] = [];
    const load = (async () => {
      while (!isDone) statuses.push((await get(ports.listener, "/")).status);
    })();
    const all = shop(ports, [routeTo("v1")]);
    resources = new Map(
      [...all].map(([url, map]) => [url, new Map([...map].filter(([name]) => name !== "v2"))]),
    );
    server.push("v2");
    const outcome = await server.whenAcked("v2");
    isDone = true;
    await load;
    expect(outcome.proxies.map(({ result }) => result)).toEqual(["accepted"]);
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(JSON.parse((await get(ports.listener, "/")).body).name).toBe("v1");
    await expect.poll(() => envoy.admin("/clusters"), { timeout: 10_000 }).not.toContain("v2::");
    expect(nacks).toEqual([]);
  });
});

function bootstrap(port: number, apiType: string): object {
  const cluster = {
    name: "weft",
    type: "STATIC",
    typed_extension_protocol_options: {
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
    load_assignment: {
      cluster_name: "weft",
      endpoints: [
        {
          lb_endpoints: [
            { endpoint: { address: { socket_address: { address: "127.0.0.1", port_value: port } } } },
          ],
        },
      ],
    },
  };
  return {
    node: { id: "sidecar~127.0.0.1~envoy.default~default.svc.cluster.local", cluster: "envoy" },
    static_resources: { clusters: [cluster] },
    dynamic_resources: {
      ads_config: {
        api_type: apiType,
        transport_api_version: "V3",
        grpc_services: [{ envoy_grpc: { cluster_name: "weft" } }],
      },
      cds_config: { ads: {}, resource_api_version: "V3" },
      lds_config: { ads: {}, resource_api_version: "V3" },
    },
  };
}
