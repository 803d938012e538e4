import { setTimeout as sleep } from "node:timers/promises";
import { Agent, request } from "undici";
import { describe, expect, it } from "vitest";
import type { Cluster } from "../../common/model/cluster.ts";
import type { OutlierDetection } from "../../common/model/outlier-detection.ts";
import { defaultOutlierDetection } from "../../common/model/outlier-detection.ts";
import type { ForwardAction, RetryPolicy } from "../../common/model/route.ts";
import type { ProxyApp } from "../../proxy/app.ts";
import type { EchoServer } from "../support/echo-server.ts";
import type { LoadReport, RunningLoad } from "../support/load.ts";
import { load, startLoad } from "../support/load.ts";
import type { proxySettings, Resources } from "../support/proxy-resources.ts";
import {
  feed,
  inboundListener,
  listener,
  route,
  routes,
  staticCluster,
  virtualHost,
} from "../support/proxy-resources.ts";
import { sceneOfEachTest } from "../support/scene.ts";

/** What keeps a failing or overloaded service from pulling others down, with real proxies and real sockets in this process. */

const { after, echo, proxy: startProxy } = sceneOfEachTest();

const quick: OutlierDetection = { ...defaultOutlierDetection, intervalMs: 100, baseEjectionMs: 60_000 };
const safeRetries: RetryPolicy = {
  attempts: 2,
  on: ["5xx"],
  statusCodes: [],
  baseIntervalMs: 5,
  maxIntervalMs: 50,
};
/** Of eight requests under way more than three, the default, can meet the same dead endpoint. */
const enough = { fraction: 1, minConcurrency: 8 };
const noRetries: RetryPolicy = { ...safeRetries, attempts: 0 };

describe("an endpoint that dies under load, with outlier detection", () => {
  it.each([
    ["without retries costs a handful of requests", noRetries, 40],
    ["costs no request with safe retries", safeRetries, 0],
  ])("%s", async (_title, retry, most) => {
    const servers = [await echo("a"), await echo("b"), await echo("c")];
    const proxy = await start();
    const cluster = {
      ...staticCluster("c", ...servers.map(({ port }) => port)),
      outlierDetection: quick,
      retryBudget: enough,
    };
    await feed(proxy.sink, oneHost(cluster, retry));
    const running = startLoad({ url: urlOf(proxy), headers: { host: "svc" }, concurrency: 8 });
    await running.reached(500);
    await servers[1]!.stop();
    await running.reached(running.count + 2_000);
    const report = await running.stop();
    console.log(`one of three endpoints killed: ${failed(report)} of ${report.requests} requests failed`);
    expect(failed(report)).toBeLessThanOrEqual(most);
    expect(await metric(proxy, "weft_outlier_ejected")).toBe(1);
    const { body } = await request(`http://127.0.0.1:${proxy.admin!.port}/clusters`);
    expect(await body.text()).toContain(
      `c::127.0.0.1:${servers[1]!.port}::health_flags::/failed_outlier_check\n`,
    );
  });

  it("gets no more than its share when it comes back, and all it can take once it is well", async () => {
    let isSick = false;
    const sick = await echo("sick", (_request, response) => {
      response.statusCode = isSick ? 503 : 200;
      response.end();
    });
    const servers = [await echo("a"), sick, await echo("c")];
    const proxy = await start();
    const outlierDetection = { ...quick, consecutive5xx: 3, baseEjectionMs: 300 };
    const cluster = {
      ...staticCluster("c", ...servers.map(({ port }) => port)),
      outlierDetection,
      retryBudget: enough,
    };
    await feed(proxy.sink, oneHost(cluster, safeRetries));
    const running = startLoad({
      url: urlOf(proxy),
      headers: { host: "svc" },
      concurrency: 8,
      perSecond: 1_000,
    });
    await running.reached(200);
    isSick = true;
    await until(async () => (await metric(proxy, "weft_outlier_ejections_total")) >= 2);
    isSick = false;
    await until(async () => (await metric(proxy, "weft_outlier_ejected")) === 0);
    const before = servers.map((server) => server.requests);
    await running.reached(running.count + 600);
    const after = servers.map((server, index) => server.requests - before[index]!);
    const report = await running.stop();
    console.log(
      `after its return the endpoint got ${after[1]} of ${after.join("+")}; ${failed(report)} failed`,
    );
    expect(failed(report)).toBe(0);
    expect(after[1]!).toBeGreaterThan(100);
    expect(after[1]!).toBeLessThan(350);
  });
});

describe("the limits of a connection pool", () => {
  // covers DestinationRule trafficPolicy.connectionPool.tcp.maxConnections, trafficPolicy.connectionPool.http.http1MaxPendingRequests
  it("answer what is too much with 503 UO and x-envoy-overloaded, and serve the rest", async () => {
    const held: (() => void)[] = [];
    const slow = await echo("slow", (_request, response) => held.push(() => response.end()));
    const proxy = await start();
    const connectionPool = { maxConnections: 2, maxPendingRequests: 3 };
    await feed(proxy.sink, oneHost({ ...staticCluster("c", slow.port), connectionPool }, safeRetries));
    const served = [get(proxy), get(proxy)];
    await until(() => held.length === 2);
    const refusals: string[] = [];
    const more = Array.from({ length: 6 }, async () => {
      const { statusCode, headers, body } = await get(proxy);
      const text = await body.text();
      if (statusCode === 503) refusals.push(`${headers["x-envoy-overloaded"]} ${text}`);
      return statusCode;
    });
    await until(() => refusals.length === 3);
    expect(new Set(refusals)).toEqual(new Set(["true upstream_overflow: pending_requests\n"]));
    const pool = [...proxy.clusters][0]!.load;
    expect(pool).toMatchObject({ connections: 2, pending: 3, requests: 5 });
    for (let ended = 0; ended < 5; ended++) {
      await until(() => held.length > 0);
      held.shift()!();
    }
    const statuses = await Promise.all(more);
    expect((await Promise.all(served)).map(({ statusCode }) => statusCode)).toEqual([200, 200]);
    expect(statuses.filter((status) => status === 200)).toHaveLength(3);
    await until(() => pool.requests === 0);
    expect([slow.requests, pool.pending, pool.requests, pool.connections]).toEqual([5, 0, 0, 2]);
  });

  // covers DestinationRule trafficPolicy.connectionPool.http.http2MaxRequests
  it("bound the requests under way, whatever the connections", async () => {
    const held: (() => void)[] = [];
    const slow = await echo("slow", (_request, response) => held.push(() => response.end()));
    const proxy = await start();
    await feed(
      proxy.sink,
      oneHost({ ...staticCluster("c", slow.port), connectionPool: { maxRequests: 2 } }, noRetries),
    );
    const two = [get(proxy), get(proxy)];
    await until(() => held.length === 2);
    const third = await get(proxy);
    expect([third.statusCode, await third.body.text()]).toEqual([503, "upstream_overflow: max_requests\n"]);
    for (const end of held) end();
    expect((await Promise.all(two)).map(({ statusCode }) => statusCode)).toEqual([200, 200]);
    const last = get(proxy);
    await until(() => held.length === 3);
    held[2]!();
    expect((await last).statusCode).toBe(200);
  });

  // covers DestinationRule trafficPolicy.connectionPool.http.maxRequestsPerConnection, trafficPolicy.connectionPool.tcp.maxConnectionDuration
  it("let a connection carry so many requests, and live so long", async () => {
    const server = await echo("a");
    let connections = 0;
    server.server.on("connection", () => connections++);
    const proxy = await start();
    const cluster = staticCluster("c", server.port);
    const shape = (connectionPool: Cluster["connectionPool"] & object) =>
      feed(proxy.sink, { clusters: [{ ...cluster, connectionPool }] });
    await feed(
      proxy.sink,
      oneHost({ ...cluster, connectionPool: { maxRequestsPerConnection: 1 } }, noRetries),
    );
    const four = () => load({ url: urlOf(proxy), headers: { host: "svc" }, concurrency: 1, requests: 4 });
    expect(failed(await four())).toBe(0);
    expect(connections).toBe(4);
    await shape({
      maxRequestsPerConnection: 2,
      tcpKeepalive: { probes: 2, timeSeconds: 5, intervalSeconds: 1 },
    });
    await four();
    expect(connections).toBe(6);
    await shape({ maxConnectionDurationMs: 50 });
    await four();
    expect(connections).toBe(7);
    await until(() => [...proxy.clusters][0]!.load.connections === 0);
  });
});

describe("case 62: retries over three hops to a service that is down", () => {
  it.each([
    ["stay within the budget of one hop when workloads pass x-request-id on", true, 1.2],
    ["stay within the budgets of the hops even when they do not", false, 1.8],
  ])("%s", async (_title, passesIdOn, most) => {
    const dead = await echo("dead", (_request, response) => {
      response.statusCode = 503;
      response.end();
    });
    const retry: RetryPolicy = { ...safeRetries, attempts: 3 };
    // The client's own sidecar calls b, b calls c, c calls the dead one; each has a sidecar that retries three times.
    const c = await hop("c", dead.port, retry, passesIdOn);
    const b = await hop("b", c.port("in")!, retry, passesIdOn);
    const a = await start({ name: "a" });
    await feed(a.sink, oneHost(known(staticCluster("next", b.port("in")!)), retry));
    const requests = 500;
    const report = await load({ url: urlOf(a), headers: { host: "svc" }, concurrency: 50, requests });
    expect([...report.statuses.keys()]).toEqual([503]);
    const retries = await Promise.all([a, b, c].map((proxy) => metric(proxy, "weft_retry_total")));
    const ratio = dead.requests / requests;
    console.log(`retry storm: ${ratio} × load at the dead service; retries by hop ${retries.join(", ")}`);
    expect(dead.requests).toBeGreaterThan(requests);
    expect(ratio).toBeLessThanOrEqual(most);
  });
});

/** A workload that asks the next one and answers what that answers, behind a sidecar of its own. */
async function hop(name: string, next: number, retry: RetryPolicy, passesIdOn: boolean): Promise<ProxyApp> {
  const proxy = await start({ name });
  const agent = new Agent({ connections: 100 });
  after(() => agent.close());
  const app = await echo(name, (incoming, response) => {
    const id = incoming.headers["x-request-id"];
    expect(incoming.headers).not.toHaveProperty("x-weft-attempt");
    request(urlOf(proxy), {
      dispatcher: agent,
      headers: { host: "svc", ...(passesIdOn && typeof id === "string" ? { "x-request-id": id } : {}) },
    }).then(
      async (answer) => {
        await answer.body.dump();
        response.statusCode = answer.statusCode;
        response.end();
      },
      () => response.destroy(),
    );
  });
  const outbound = oneHost(known(staticCluster("next", next)), retry);
  await feed(proxy.sink, {
    ...outbound,
    clusters: [...outbound.clusters!, staticCluster("app", app.port)],
    // Two listeners may not share an address and a port, and both ports are 0 here.
    listeners: [...outbound.listeners!, { ...inboundListener("in", "app"), address: "0.0.0.0" }],
  });
  return proxy;
}

/** A cluster whose endpoints are workloads of the mesh, as those with a sidecar are. */
function known(cluster: Cluster): Cluster {
  if (cluster.discovery.kind !== "static") return cluster;
  const workload = { name: "next", namespace: "default", serviceAccount: "next", labels: {} };
  const endpoints = cluster.discovery.endpoints.map((endpoint) => ({ ...endpoint, workload }));
  return { ...cluster, discovery: { kind: "static", endpoints } };
}

describe("case 64: three times as many requests as can be served", () => {
  it("leave nine tenths of the peak served, the rest refused at once, memory flat and the admin interface awake", async () => {
    // Ten workers of 100 ms: a hundred requests a second, far below what the machine can do.
    const server = await busyServer(10, 100);
    const proxy = await start({ change: { maxActiveRequests: 40 } });
    await feed(proxy.sink, oneHost(staticCluster("c", server.port), noRetries));
    const url = urlOf(proxy);
    const headers = { host: "svc" };
    /** Requests a second that reach the server between two of the load's answers. */
    const goodput = async (running: RunningLoad, from: number, to: number): Promise<number> => {
      await running.reached(from);
      const [before, began] = [server.requests, performance.now()];
      await running.reached(to);
      return ((server.requests - before) * 1_000) / (performance.now() - began);
    };
    const calm = () => startLoad({ url, headers, concurrency: 20 });
    const flood = () => startLoad({ url, headers, concurrency: 200, perSecond: 300 });

    // Whatever else the machine does slows both of a pair, which follow each other; the median leaves out the pair it hit in between.
    const ratios: number[] = [];
    const floods: LoadReport[] = [];
    let memory = 0;
    for (let round = 0; round < 5; round++) {
      const gentle = calm();
      const peak = await goodput(gentle, 30, 130);
      await gentle.stop();
      if (round === 0) memory = process.memoryUsage().rss;
      const running = flood();
      const rate = await goodput(running, 100, 400);
      ratios.push(rate / peak);
      const ready = await request(`http://127.0.0.1:${proxy.admin!.port}/ready`);
      expect([ready.statusCode, await ready.body.text()]).toEqual([200, "LIVE\n"]);
      const refused = await until(async () => {
        const answer = await get(proxy);
        await answer.body.dump();
        return answer.statusCode === 503 && answer;
      });
      expect(refused.headers).toMatchObject({ "retry-after": "1", "x-envoy-overloaded": "true" });
      floods.push(await running.stop());
    }
    const grown = (process.memoryUsage().rss - memory) / 1e6;
    const percents = ratios.map((ratio) => Math.round(100 * ratio)).sort((one, other) => one - other);
    console.log(
      `overload: ${percents.join(", ")} % of the peak served, ${floods.reduce((sum, report) => sum + failed(report), 0)} refused, ${grown.toFixed(0)} MB more`,
    );
    for (const report of floods) {
      expect([...report.statuses.keys()].sort()).toEqual([200, 503]);
      expect(report.errors.size).toBe(0);
    }
    expect(percents[2]).toBeGreaterThanOrEqual(90);
    // Load generator, server and proxy share this process.
    expect(grown).toBeLessThan(100);
    expect(await metric(proxy, "weft_active_requests")).toBe(0);
  });
});

/** A server with so many workers, each busy with a request for `ms`; other requests wait for one. */
function busyServer(workers: number, ms: number): Promise<EchoServer> {
  const waiting: (() => void)[] = [];
  let free = workers;
  const work = (end: () => void): void => {
    free--;
    setTimeout(() => {
      end();
      free++;
      const next = waiting.shift();
      if (next !== undefined) next();
    }, ms);
  };
  return echo("busy", (_request, response) => {
    const begin = (): void => work(() => response.end());
    if (free > 0) begin();
    else waiting.push(begin);
  });
}

interface Given {
  readonly name?: string;
  readonly change?: Parameters<typeof proxySettings>[1];
}

function start({ name = "test", change = {} }: Given = {}): Promise<ProxyApp> {
  return startProxy({ name, admin: "127.0.0.1:0" }, change);
}

/** Everything for `svc` goes to one cluster. */
function oneHost(cluster: Cluster, retry: RetryPolicy, action: Partial<ForwardAction> = {}): Resources {
  const plain = route([[cluster.name, 1]]);
  const forward = { ...(plain.action as ForwardAction), retry, ...action };
  return {
    clusters: [cluster],
    routes: [routes("r")],
    hosts: { r: [virtualHost("svc", ["svc"], [{ ...plain, action: forward }])] },
    listeners: [listener("out", "r")],
  };
}

function urlOf(proxy: ProxyApp): string {
  return `http://127.0.0.1:${proxy.port("out")}/`;
}

function get(proxy: ProxyApp) {
  return request(urlOf(proxy), { headers: { host: "svc" } });
}

function failed(report: LoadReport): number {
  return report.failures.length;
}

/** The sum over all label sets; 0 when there is none. */
async function metric(proxy: ProxyApp, name: string): Promise<number> {
  const { body } = await request(`http://127.0.0.1:${proxy.admin!.port}/stats/prometheus`);
  let sum = 0;
  for (const line of (await body.text()).split("\n")) {
    if (line.startsWith(`${name}{`) || line.startsWith(`${name} `)) sum += Number(line.split(" ").at(-1));
  }
  return sum;
}

/** Waits until there is an answer that is not false. */
async function until<T>(ask: () => T | false | Promise<T | false>): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (answer !== false) return answer;
    await sleep(5);
  }
}
