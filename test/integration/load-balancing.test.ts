import { request } from "undici";
import { afterEach, describe, expect, it } from "vitest";
import type { Cluster, LoadBalancer } from "../../common/model/cluster.ts";
import type { Endpoint } from "../../common/model/endpoint.ts";
import type { ForwardAction, HashPolicy } from "../../common/model/route.ts";
import type { ProxyApp } from "../../proxy/app.ts";
import { startProxy } from "../../proxy/app.ts";
import type { EchoServer } from "../support/echo-server.ts";
import { startEcho } from "../support/echo-server.ts";
import {
  cluster,
  endpoint,
  feed,
  listener,
  proxySettings,
  route,
  routes,
  virtualHost,
} from "../support/proxy-resources.ts";

/** Which endpoint a request reaches, over sockets, with everything going through xDS. */

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

describe("consistent hashing", () => {
  it.each(["ring-hash", "maglev"] as const)(
    "sends one user to one endpoint, others elsewhere (%s)",
    async (kind) => {
      const apps = await echoes(4);
      const proxy = await start({ kind }, apps, [{ kind: "header", name: "x-user" }]);
      const users = Array.from({ length: 20 }, (_, i) => `user-${i}`);
      const first = [];
      for (const user of users) first.push(await served(proxy, { "x-user": user }));
      const second = [];
      for (const user of users) second.push(await served(proxy, { "x-user": user }));
      expect(second).toEqual(first);
      expect(new Set(first).size).toBeGreaterThan(2);
    },
  );

  it("moves only the users of an endpoint that becomes unhealthy, and back", async () => {
    const apps = await echoes(4);
    const policies: HashPolicy[] = [{ kind: "header", name: "x-user" }];
    const proxy = await start({ kind: "maglev" }, apps, policies);
    const users = Array.from({ length: 24 }, (_, i) => `user-${i}`);
    const ask = async () => Promise.all(users.map((user) => served(proxy, { "x-user": user })));
    const before = await ask();
    await feed(proxy.sink, { clusters: [made({ kind: "maglev" }, apps, { 1: { health: "unhealthy" } })] });
    const without = await ask();
    const moved = users.filter((_, i) => without[i] !== before[i] && before[i] !== "app1");
    expect(without).not.toContain("app1");
    expect(moved.length).toBeLessThanOrEqual(2);
    await feed(proxy.sink, { clusters: [made({ kind: "maglev" }, apps)] });
    expect(await ask()).toEqual(before);
  });

  it("gives a cookie to who has none, and knows it again", async () => {
    const apps = await echoes(4);
    const cookie: HashPolicy = { kind: "cookie", name: "session", path: "/", ttlMs: 60_000 };
    const proxy = await start({ kind: "ring-hash" }, apps, [cookie]);
    const first = await get(proxy, {});
    const set = String(first.headers["set-cookie"]);
    expect(set).toMatch(/^session=[0-9a-f]{16}; Max-Age=60; Path=\/; HttpOnly$/);
    await first.body.dump();
    for (let i = 0; i < 5; i++) {
      const next = await get(proxy, { cookie: set.split(";")[0]! });
      expect(next.headers["set-cookie"]).toBeUndefined();
      await next.body.dump();
      expect(next.headers["x-served-by"]).toBe(first.headers["x-served-by"]);
    }
  });
});

describe("priorities", () => {
  it("fail over when near endpoints are unhealthy, without outlier detection, and back", async () => {
    const apps = await echoes(3);
    const policy: LoadBalancer = { kind: "round-robin" };
    const far = { 2: { priority: 1 } };
    const proxy = await start(policy, apps, [], far);
    const ask = async () => new Set(await Promise.all(Array.from({ length: 30 }, () => served(proxy))));
    expect(await ask()).toEqual(new Set(["app0", "app1"]));
    const sick = { health: "unhealthy" } as const;
    await feed(proxy.sink, { clusters: [made(policy, apps, { ...far, 0: sick, 1: sick })] });
    expect(await ask()).toEqual(new Set(["app2"]));
    await feed(proxy.sink, { clusters: [made(policy, apps, far)] });
    expect(await ask()).toEqual(new Set(["app0", "app1"]));
  });

  it("divide by the weight of localities", async () => {
    const apps = await echoes(2);
    const at = (region: string, localityWeight: number) => ({
      locality: { region, zone: "", subzone: "" },
      localityWeight,
    });
    const policy: LoadBalancer = { kind: "round-robin", weighsLocalities: true };
    const proxy = await start(policy, apps, [], { 0: at("eu", 900_000), 1: at("us", 100_000) });
    const names = await Promise.all(Array.from({ length: 200 }, () => served(proxy)));
    const near = names.filter((name) => name === "app0").length;
    expect(near).toBeGreaterThan(150);
    expect(near).toBeLessThan(200);
  });
});

describe("PEAK_EWMA", () => {
  it("prefers the endpoint that answers faster", async () => {
    const fast = await startEcho("fast");
    const slow = await startEcho("slow", (_, response) => {
      setTimeout(() => response.end(), 60);
    });
    stops.push(
      () => fast.stop(),
      () => slow.stop(),
    );
    const proxy = await start({ kind: "peak-ewma" }, [fast, slow], []);
    const names = [];
    for (let i = 0; i < 40; i++) names.push(await served(proxy));
    expect(names.filter((name) => name === "slow").length).toBeLessThan(8);
  });
});

async function echoes(count: number): Promise<readonly EchoServer[]> {
  const apps = await Promise.all(Array.from({ length: count }, (_, i) => startEcho(`app${i}`)));
  for (const app of apps) stops.push(() => app.stop());
  return apps;
}

type Changes = Readonly<Record<number, Partial<Endpoint>>>;

function made(loadBalancer: LoadBalancer, apps: readonly EchoServer[], changes: Changes = {}): Cluster {
  const endpoints = apps.map(({ port }, i) => endpoint(port, changes[i] ?? {}));
  return cluster("c", { loadBalancer, discovery: { kind: "static", endpoints } });
}

async function start(
  loadBalancer: LoadBalancer,
  apps: readonly EchoServer[],
  hashPolicies: readonly HashPolicy[],
  changes: Changes = {},
): Promise<ProxyApp> {
  const proxy = await startProxy(proxySettings());
  stops.push(() => proxy.stop());
  const plain = route([["c", 1]]);
  const action = {
    ...(plain.action as ForwardAction),
    ...(hashPolicies.length > 0 ? { hashPolicies } : {}),
  };
  const rejected = await feed(proxy.sink, {
    clusters: [made(loadBalancer, apps, changes)],
    routes: [routes("r")],
    hosts: { r: [virtualHost("svc", ["svc"], [{ ...plain, action }])] },
    listeners: [listener("out", "r")],
  });
  expect(rejected).toEqual([]);
  await proxy.whenReady();
  return proxy;
}

function get(proxy: ProxyApp, headers: Readonly<Record<string, string>>) {
  return request(`http://127.0.0.1:${proxy.port("out")}/`, { headers: { host: "svc", ...headers } });
}

async function served(
  proxy: ProxyApp,
  headers: Readonly<Record<string, string>> = {},
): Promise<string | undefined> {
  const answer = await get(proxy, headers);
  await answer.body.dump();
  return answer.headers["x-served-by"] as string | undefined;
}
