import { request } from "node:http";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../common/base/clock.ts";
import { seededRandom } from "../../common/base/random.ts";
import type { Cluster } from "../../common/model/cluster.ts";
import type { Listener } from "../../common/model/listener.ts";
import type { RouteConfiguration } from "../../common/model/route.ts";
import { noHeaderOperations } from "../../common/model/route.ts";
import { ClusterManager } from "../cluster/cluster-manager.ts";
import { defaultPoolSettings } from "../cluster/pool.ts";
import type { ProxyConfig } from "../state/proxy-config.ts";
import { emptyConfig } from "../state/proxy-config.ts";
import type { CircuitView } from "../telemetry/circuit-metrics.ts";
import type { Log } from "../telemetry/log.ts";
import { createLog } from "../telemetry/log.ts";
import { MetricRegistry } from "../telemetry/metric-registry.ts";
import { AdminServer } from "./admin-server.ts";
import { pages } from "./pages.ts";
import { Readiness } from "./readiness.ts";

const circuit: CircuitView = {
  policy: { name: "default/review" },
  cluster: "outbound|80||review",
  state: "open",
  transitions: { open: 2, "half-open": 1, closed: 0 },
  shortCircuited: 7,
  fallbacks: 9,
};

interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

let admin: AdminServer;
let port: number;
let readiness: Readiness;
let log: Log;
let config: ProxyConfig;
let calls: string[];
let clusters: ClusterManager;

beforeEach(async () => {
  readiness = new Readiness(["xds", "listeners"]);
  log = createLog("info", () => {});
  config = emptyConfig;
  calls = [];
  const metrics = new MetricRegistry();
  metrics.counter("weft_retry_total", "Attempts after the first.").inc(3);
  clusters = new ClusterManager({
    connect: () => Promise.reject(new Error("nobody connects here")),
    openSocket: () => Promise.reject(new Error("nobody connects here")),
    resolver: { resolve: () => Promise.reject(new Error("nobody resolves here")) },
    pool: defaultPoolSettings,
    clock: systemClock,
    random: seededRandom(1),
    isOwnListener: () => false,
  });
  admin = new AdminServer({
    node: {
      id: "sidecar~127.0.0.1~reviews-v1.default~default.svc.cluster.local",
      kind: "sidecar",
      name: "reviews-v1",
      namespace: "default",
      serviceAccount: "reviews",
      labels: { app: "reviews" },
      bindings: { servers: new Map([[80, { host: "0.0.0.0", port: 8080 }]]) },
    },
    readiness,
    config: () => config,
    clusters: () => clusters,
    circuits: () => [circuit],
    limits: () => [
      {
        rule: { name: "default/edge/all" },
        allowed: 3,
        limited: 1,
        keys: 1,
        isLeased: true,
        leasedKeys: 1,
        proxies: 2,
      },
    ],
    metrics,
    log,
    drain: () => calls.push("drain"),
    quit: () => calls.push("quit"),
  });
  ({ port } = await admin.start({ host: "127.0.0.1", port: 0 }));
});

afterEach(() => admin.stop());

describe("the admin server", () => {
  it("says which tasks are open until the proxy is ready", async () => {
    expect(await ask("GET", "/ready")).toMatchObject({
      status: 503,
      body: "not ready, open: xds, listeners\n",
    });
    readiness.done("xds");
    readiness.done("listeners");
    expect(await ask("GET", "/ready")).toMatchObject({ status: 200, body: "LIVE\n" });
  });

  it("shows each circuit breaker's state", async () => {
    const { body } = await ask("GET", "/breakers");
    expect(body).toContain("outbound|80||review::default/review::state::open\n");
    expect(JSON.parse((await ask("GET", "/breakers?format=json")).body)).toEqual({
      breakers: [
        {
          breaker: "default/review",
          cluster: "outbound|80||review",
          state: "open",
          opened: 2,
          closed: 0,
          shortCircuited: 7,
          fallbacks: 9,
        },
      ],
    });
  });

  it("lists every page in its help", async () => {
    const { body } = await ask("GET", "/");
    for (const { path } of pages) expect(body).toContain(path);
  });

  it("shows metrics under both of Envoy's paths", async () => {
    for (const path of ["/stats", "/stats/prometheus"]) {
      const reply = await ask("GET", path);
      expect(reply.body).toContain("weft_retry_total 3");
      expect(reply.headers["content-type"]).toMatch(/^text\/plain; version=0.0.4/);
    }
  });

  it("dumps what it runs with versions and provenance", async () => {
    const source = { kind: "VirtualService", namespace: "default", name: "reviews", file: "r.yaml", line: 7 };
    const virtualHost = {
      name: "reviews:9080",
      domains: ["reviews"],
      routes: [
        {
          name: "teapot",
          source,
          match: { path: { kind: "any" as const }, headers: [], queryParams: [] },
          action: { kind: "direct-response" as const, status: 418, body: Buffer.from("short and stout") },
          requestHeaders: noHeaderOperations,
          responseHeaders: noHeaderOperations,
        },
      ],
    };
    const routes: RouteConfiguration = { name: "9080", vhds: true, virtualHosts: [] };
    const listener: Listener = {
      name: "virtualOutbound",
      address: "127.0.0.1",
      port: 15001,
      direction: "outbound",
      filterChains: [],
    };
    const bytes = new Uint8Array();
    config = {
      received: {
        ...emptyConfig.received,
        listener: new Map([["virtualOutbound", { value: listener, version: "3", bytes }]]),
        "route-configuration": new Map([["9080", { value: routes, version: "4", bytes }]]),
        "virtual-host": new Map([["9080/reviews:9080", { value: virtualHost, version: "5", bytes }]]),
      },
      routes: new Map([["9080", { ...routes, virtualHosts: [virtualHost] }]]),
    };
    const dump = JSON.parse((await ask("GET", "/config_dump")).body);
    expect(dump).toMatchObject({
      node: { name: "reviews-v1", bindings: { servers: { 80: { port: 8080 } } } },
      listeners: [{ version: "3", name: "virtualOutbound", port: 15001 }],
      routes: [
        {
          version: "4",
          name: "9080",
          virtualHosts: [
            {
              version: "5",
              routes: [
                {
                  from: "VirtualService/default/reviews (r.yaml:7)",
                  action: { status: 418, body: "short and stout" },
                },
              ],
            },
          ],
        },
      ],
      clusters: [],
      endpoints: [],
    });
    const section = JSON.parse((await ask("GET", "/config_dump?section=listeners")).body);
    expect(Object.keys(section)).toEqual(["node", "listeners"]);
    expect((await ask("GET", "/config_dump?section=lists")).status).toBe(400);
  });

  it("shows upstreams as Envoy does and as JSON", async () => {
    clusters.configure(staticCluster);
    const { body } = await ask("GET", "/clusters");
    expect(body).toContain("outbound|9080|v1|reviews::127.0.0.1:9080::rq_active::0\n");
    expect(body).toContain("outbound|9080|v1|reviews::127.0.0.1:9081::health_flags::/eds_status_draining\n");
    expect(body).toContain("outbound|9080|v1|reviews::127.0.0.1:9081::weight::3\n");
    expect(JSON.parse((await ask("GET", "/clusters?format=json")).body)).toMatchObject({
      clusters: [
        {
          name: "outbound|9080|v1|reviews",
          warm: true,
          endpoints: [
            { address: "127.0.0.1:9080", health: "healthy", activeRequests: 0, activeConnections: 0 },
            { address: "127.0.0.1:9081", health: "draining", workload: "default/reviews-v1" },
          ],
        },
      ],
    });
  });

  it("changes the log level by POST only", async () => {
    expect((await ask("GET", "/logging?level=debug")).status).toBe(405);
    expect(log.level).toBe("info");
    expect((await ask("POST", "/logging?level=debug")).body).toBe("level: debug\n");
    expect(log.level).toBe("debug");
    expect(await ask("POST", "/logging?level=wran")).toMatchObject({
      status: 400,
      body: 'no level "wran"; did you mean warn?\n',
    });
    expect((await ask("GET", "/logging")).body).toBe("level: debug\n");
  });

  it("drains and quits by POST only, and says so", async () => {
    for (const path of ["/drain", "/quitquitquit"]) {
      const reply = await ask("GET", path);
      expect(reply).toMatchObject({ status: 405, headers: { allow: "POST" } });
      expect(reply.body).toContain(`curl -X POST http://localhost:${port}${path}`);
    }
    expect(calls).toEqual([]);
    await ask("POST", "/drain");
    await ask("POST", "/quitquitquit");
    expect(calls).toEqual(["drain", "quit"]);
  });

  it.each(["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:15000", "10.0.0.1"])(
    "refuses the host %j",
    async (host) => {
      expect((await ask("POST", "/quitquitquit", { host })).status).toBe(403);
      expect(calls).toEqual([]);
    },
  );

  it.each(["localhost", "LOCALHOST:15000", "127.0.0.1:15000", "[::1]:15000"])(
    "answers the host %s",
    async (host) => {
      expect((await ask("GET", "/", { host })).status).toBe(200);
    },
  );

  it("refuses a web page of another origin, which needs no rebinding to post", async () => {
    const reply = await ask("POST", "/drain", { host: "127.0.0.1", origin: "https://evil.example" });
    expect(reply.status).toBe(403);
    expect(calls).toEqual([]);
  });

  it("guesses what a wrong path meant", async () => {
    expect(await ask("GET", "/config-dump")).toMatchObject({
      status: 404,
      body: "no such page; did you mean /config_dump?\n",
    });
  });

  it("answers 500 and logs when a page fails, and goes on", async () => {
    const lines: string[] = [];
    await admin.stop();
    admin = new AdminServer({
      log: createLog("info", (line) => lines.push(line)),
      config: () => {
        throw new Error("broken");
      },
    } as unknown as ConstructorParameters<typeof AdminServer>[0]);
    ({ port } = await admin.start({ host: "127.0.0.1", port: 0 }));
    expect((await ask("GET", "/config_dump")).status).toBe(500);
    expect((await ask("GET", "/help")).status).toBe(200);
    expect(JSON.parse(lines[0]!)).toMatchObject({ level: "error", err: { message: "broken" } });
  });

  it("says so when its port is taken", async () => {
    const second = new AdminServer({} as ConstructorParameters<typeof AdminServer>[0]);
    await expect(second.start({ host: "127.0.0.1", port })).rejects.toMatchObject({ code: "EADDRINUSE" });
  });
});

const staticCluster: Cluster = {
  name: "outbound|9080|v1|reviews",
  discovery: {
    kind: "static",
    endpoints: [
      { address: "127.0.0.1", port: 9080, weight: 1, health: "healthy" },
      {
        address: "127.0.0.1",
        port: 9081,
        weight: 3,
        health: "draining",
        workload: { name: "reviews-v1", namespace: "default", serviceAccount: "reviews", labels: {} },
      },
    ],
  },
  loadBalancer: { kind: "round-robin" },
  connectTimeoutMs: 1000,
};

function ask(method: string, path: string, headers: Record<string, string> = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const outgoing = request({
      host: "127.0.0.1",
      port,
      method,
      path,
      headers: { host: `localhost:${port}`, ...headers },
      agent: false,
    });
    outgoing.on("error", reject);
    outgoing.on("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks).toString("utf8"),
        }),
      );
    });
    outgoing.end();
  });
}
