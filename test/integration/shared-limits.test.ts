import { request } from "undici";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../common/base/clock.ts";
import type { RateLimitRule } from "../../common/model/rate-limit.ts";
import { LeaseLedger } from "../../control-plane/serve/lease-ledger.ts";
import { XdsServer } from "../../control-plane/serve/server.ts";
import type { ProxyApp } from "../../proxy/app.ts";
import { startProxy } from "../../proxy/app.ts";
import type { EchoServer } from "../support/echo-server.ts";
import { startEcho } from "../support/echo-server.ts";
import { startLoad } from "../support/load.ts";
import {
  feed,
  listener,
  proxySettings,
  route,
  routes,
  staticCluster,
  virtualHost,
} from "../support/proxy-resources.ts";

/** One limit that three proxies share, over real sockets: their leases come from a control plane that goes away and comes back. */

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

const perSecond = 120;
const burst = 30;
const rule: RateLimitRule = {
  name: "default/edge/all",
  key: [],
  requests: perSecond,
  perMs: 1_000,
  burst,
  maxKeys: 100,
  global: true,
};

// covers RateLimit global
describe("a limit that three proxies share", () => {
  it("is used nearly whole under uneven demand and never exceeded, also while the control plane is away", async () => {
    const server = await echo();
    let controlPlane = await startControlPlane();
    const { port } = controlPlane.address;
    const proxies = await Promise.all(["a", "b", "c"].map((name) => start(name, port, server.port)));
    await untilAll(proxies, "weft_rate_limit_proxies", 3);
    // The first asks for more than all may have, the second for little, the third for nothing.
    const loads = proxies.slice(0, 2).map((proxy, index) =>
      startLoad({
        url: `http://127.0.0.1:${proxy.port("out")}/`,
        headers: { host: "svc" },
        concurrency: 4,
        perSecond: index === 0 ? 400 : 20,
      }),
    );
    const passed = () => server.requests;
    // Until the burst is gone and the shares have moved to where the demand is.
    await loads[0]!.reached(2_000);
    const uneven = await rateOver(passed, 5_000);
    console.log(`shared limit: ${uneven.toFixed(0)} of ${perSecond} a second passed, by leases`);
    expect(uneven).toBeLessThanOrEqual(atMost(perSecond, 5_000));
    expect(uneven).toBeGreaterThanOrEqual(perSecond * 0.75);

    await controlPlane.stop();
    await untilAll(proxies, "weft_rate_limit_leased", 0);
    const alone = await rateOver(passed, 4_000);
    console.log(`shared limit: ${alone.toFixed(0)} of ${perSecond} a second passed, without a control plane`);
    // A third for the first, and all that the second asks for.
    expect(alone).toBeLessThanOrEqual(atMost(perSecond / 3 + 20, 4_000));
    expect(alone).toBeGreaterThanOrEqual((perSecond / 3 + 20) * 0.7);

    controlPlane = await startControlPlane(port);
    await untilAll(proxies, "weft_rate_limit_leased", 1);
    const back = await rateOver(passed, 3_000);
    expect(back).toBeLessThanOrEqual(atMost(perSecond, 3_000));
    const reports = await Promise.all(loads.map((running) => running.stop()));
    for (const report of reports) {
      expect(report.errors.size).toBe(0);
      expect([...report.statuses.keys()].every((status) => status === 200 || status === 429)).toBe(true);
    }
  }, 90_000);

  it("lets a key's burst through at one proxy, although nobody has asked for it before", async () => {
    const server = await echo();
    const { address } = await startControlPlane();
    const each = { ...rule, key: [{ kind: "header" as const, name: "end-user" }], requests: 10, burst: 10 };
    const proxies = await Promise.all(
      ["a", "b", "c"].map((name) => start(name, address.port, server.port, each)),
    );
    await untilAll(proxies, "weft_rate_limit_proxies", 3);
    const statuses: number[] = [];
    for (let i = 0; i < 14; i++) {
      const { statusCode, body } = await request(`http://127.0.0.1:${proxies[0]!.port("out")}/`, {
        headers: { host: "svc", "end-user": "mara" },
      });
      await body.dump();
      statuses.push(statusCode);
    }
    const passed = statuses.filter((status) => status === 200).length;
    console.log(`shared limit: ${passed} of a burst of 10 passed at one proxy`);
    expect(passed).toBeGreaterThanOrEqual(9);
    expect(passed).toBeLessThanOrEqual(13);
  });
});

async function startControlPlane(port = 0) {
  const xds = new XdsServer({
    source: { resourcesFor: () => new Map() },
    clock: systemClock,
    version: "v1",
    leases: new LeaseLedger(systemClock),
  });
  const address = await xds.listen({ host: "127.0.0.1", port });
  const stop = () => xds.stop();
  stops.push(stop);
  return { address, stop };
}

async function start(
  name: string,
  controlPlanePort: number,
  serverPort: number,
  limit: RateLimitRule = rule,
): Promise<ProxyApp> {
  const controlPlane = { host: "127.0.0.1", port: controlPlanePort };
  const proxy = await startProxy(proxySettings({ name, admin: "127.0.0.1:0" }, { controlPlane }));
  stops.push(() => proxy.stop());
  await feed(proxy.sink, {
    clusters: [staticCluster("c", serverPort)],
    routes: [routes("r")],
    hosts: { r: [virtualHost("svc", ["svc"], [{ ...route([["c", 1]]), rateLimits: [limit] }])] },
    listeners: [listener("out", "r")],
  });
  return proxy;
}

async function echo(): Promise<EchoServer> {
  const server = await startEcho("a");
  stops.push(() => server.stop());
  return server;
}

/** What may pass a second, over a time: what the buckets held when it began comes on top, and one request of each proxy. */
function atMost(rate: number, ms: number): number {
  return rate + ((burst + 3) * 1_000) / ms + 1;
}

/** How many a second `count` rises by, over a time. */
async function rateOver(count: () => number, ms: number): Promise<number> {
  const from = count();
  const began = performance.now();
  await new Promise((resolve) => setTimeout(resolve, ms));
  return ((count() - from) * 1_000) / (performance.now() - began);
}

async function untilAll(proxies: readonly ProxyApp[], name: string, value: number): Promise<void> {
  const deadline = performance.now() + 20_000;
  for (;;) {
    const values = await Promise.all(proxies.map((proxy) => metric(proxy, name)));
    if (values.every((found) => found === value)) return;
    if (performance.now() > deadline) throw new Error(`${name} is ${values.join(", ")}, not ${value}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function metric(proxy: ProxyApp, name: string): Promise<number> {
  const { body } = await request(`http://127.0.0.1:${proxy.admin!.port}/stats/prometheus`);
  const found = new RegExp(`^${name}\\S* (\\S+)$`, "m").exec(await body.text());
  return Number(found?.[1] ?? 0);
}
