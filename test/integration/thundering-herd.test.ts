import { request } from "undici";
import { afterEach, expect, it } from "vitest";
import { defaultOutlierDetection } from "../../common/model/outlier-detection.ts";
import type { ForwardAction } from "../../common/model/route.ts";
import { startProxy } from "../../proxy/app.ts";
import type { EchoServer } from "../support/echo-server.ts";
import { startEcho } from "../support/echo-server.ts";
import { percentile, startLoad } from "../support/load.ts";
import { metricSum } from "../support/metrics.ts";
import {
  feed,
  listener,
  proxySettings,
  route,
  routes,
  staticCluster,
  virtualHost,
} from "../support/proxy-resources.ts";

/** What becomes of a cluster whose endpoints are ejected under load and come back: the others are not crushed, nor they themselves. */

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

/** Each of four endpoints serves 100 requests a second, ten at a time; asked for are 180 of 400. */
const workers = 10;
const busyMs = 100;
const offeredPerSecond = 180;

// Rates of stretches that follow each other are compared; a machine that was busier in one of them gets another try.
it("serves nine tenths throughout while half of the endpoints are ejected and return together, in flat memory and with /ready awake", {
  retry: 2,
}, async () => {
  const servers = [await limited("a"), await limited("b"), await limited("c"), await limited("d")];
  const proxy = await startProxy(proxySettings({ name: "herd", admin: "127.0.0.1:0" }));
  stops.push(() => proxy.stop());
  const cluster = {
    ...staticCluster("c", ...servers.map(({ echo }) => echo.port)),
    loadBalancer: { kind: "least-request" as const },
    outlierDetection: {
      ...defaultOutlierDetection,
      consecutive5xx: 3,
      intervalMs: 100,
      baseEjectionMs: 400,
      maxEjectionPercent: 50,
    },
    retryBudget: { fraction: 0.2, minConcurrency: 8 },
  };
  const plain = route([["c", 1]]);
  const retry = { attempts: 2, on: ["5xx" as const], statusCodes: [], baseIntervalMs: 5, maxIntervalMs: 50 };
  await feed(proxy.sink, {
    clusters: [cluster],
    routes: [routes("r")],
    hosts: {
      r: [virtualHost("svc", ["svc"], [{ ...plain, action: { ...(plain.action as ForwardAction), retry } }])],
    },
    listeners: [listener("out", "r")],
  });
  const admin = `http://127.0.0.1:${proxy.admin!.port}`;
  const ejected = () => metricSum(`${admin}/stats/prometheus`, "weft_outlier_ejected");

  const running = startLoad({
    url: `http://127.0.0.1:${proxy.port("out")}/`,
    headers: { host: "svc" },
    concurrency: 120,
    perSecond: offeredPerSecond,
  });
  const begin = performance.now();
  const marks: { readonly atMs: number; readonly count: number }[] = [];
  const mark = () => marks.push({ atMs: performance.now() - begin, count: running.count });
  mark();
  await running.reached(270);
  mark();
  const memory = process.memoryUsage().rss;

  for (const server of servers.slice(0, 2)) server.isSick = true;
  await until(async () => (await ejected()) === 2);
  await isReady(admin);
  const whenEjected = running.count;
  mark();
  await running.reached(whenEjected + 270);
  for (const server of servers.slice(0, 2)) server.isSick = false;
  await until(async () => (await ejected()) === 0);
  mark();
  await isReady(admin);
  for (const server of servers) server.most = 0;
  await running.reached(running.count + 360);
  mark();
  const mostAtOnce = servers.map(({ most }) => most);
  const report = await running.stop();
  await isReady(admin);

  const rates = marks.slice(1).map(({ atMs, count }, index) => {
    const from = marks[index]!;
    const failed = report.failures.filter(
      (failure) => failure.atMs >= from.atMs && failure.atMs < atMs,
    ).length;
    return (1000 * (count - from.count - failed)) / (atMs - from.atMs);
  });
  const [peak, , ...later] = rates as [number, number, ...number[]];
  const grown = (process.memoryUsage().rss - memory) / 1e6;
  console.log(
    `herd: ${rates.map((rate) => Math.round(rate)).join(", ")} served a second (peak, while failing, ejected, returned); ` +
      `${report.failures.length} of ${report.requests} failed, p99 ${percentile(report, 0.99).toFixed(0)} ms; ` +
      `most under way at once after the return ${mostAtOnce.join(", ")}; ${grown.toFixed(0)} MB more`,
  );
  for (const rate of later) expect(rate).toBeGreaterThan(0.9 * peak);
  expect(report.failures.length).toBeLessThan(0.05 * report.requests);
  // Who comes back with nothing under way is not sent everything at once.
  expect(Math.max(...mostAtOnce)).toBeLessThanOrEqual(3 * workers);
  // Load generator, servers and proxy share this process.
  expect(grown).toBeLessThan(100);
});

interface Limited {
  readonly echo: EchoServer;
  isSick: boolean;
  /** Requests that it had at one time, waiting ones included. */
  most: number;
}

/** A server that is busy with each request for a while and with so many at a time; a sick one refuses at once. */
async function limited(name: string): Promise<Limited> {
  const waiting: (() => void)[] = [];
  let under = 0;
  let present = 0;
  const made: Limited = {
    isSick: false,
    most: 0,
    echo: await startEcho(name, (_request, response) => {
      if (made.isSick) {
        response.statusCode = 503;
        response.end();
        return;
      }
      made.most = Math.max(made.most, ++present);
      const work = (): void => {
        under++;
        setTimeout(() => {
          response.end();
          under--;
          present--;
          waiting.shift()?.();
        }, busyMs);
      };
      if (under < workers) work();
      else waiting.push(work);
    }),
  };
  stops.push(() => made.echo.stop());
  return made;
}

async function isReady(admin: string): Promise<void> {
  const ready = await request(`${admin}/ready`);
  expect([ready.statusCode, await ready.body.text()]).toEqual([200, "LIVE\n"]);
}

async function until(ask: () => Promise<boolean>): Promise<void> {
  while (!(await ask())) await new Promise((resolve) => setTimeout(resolve, 10));
}
