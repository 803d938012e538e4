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

it("serves nine tenths throughout while half of the endpoints are ejected and return together, in flat memory and with /ready awake", async () => {
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
  /** The next answers of the load, with when they came, ms since it began. */
  const began = performance.now();
  const stretch = async (answers: number): Promise<Stretch> => {
    const [fromMs, from] = [performance.now() - began, running.count];
    await running.reached(from + answers);
    return { fromMs, toMs: performance.now() - began, answers: running.count - from };
  };
  const sickening = servers.slice(0, 2);

  // Whatever else the machine does slows all of a round, whose stretches follow each other; the median leaves out what it hit in between.
  const rounds: Round[] = [];
  let memory = 0;
  await running.reached(offeredPerSecond / 2);
  for (let round = 0; round < 5; round++) {
    const calm = await stretch(offeredPerSecond);
    if (round === 0) memory = process.memoryUsage().rss;
    for (const server of sickening) server.isSick = true;
    await until(async () => (await ejected()) === 2);
    await isReady(admin);
    const without = await stretch(offeredPerSecond);
    for (const server of sickening) server.isSick = false;
    await until(async () => (await ejected()) === 0);
    await isReady(admin);
    for (const server of servers) server.most = 0;
    const returned = await stretch(offeredPerSecond);
    rounds.push({ calm, without, returned, most: Math.max(...servers.map(({ most }) => most)) });
  }
  const grown = (process.memoryUsage().rss - memory) / 1e6;
  const report = await running.stop();
  await isReady(admin);

  const rate = ({ fromMs, toMs, answers }: Stretch): number => {
    const failed = report.failures.filter(({ atMs }) => atMs >= fromMs && atMs < toMs).length;
    return (answers - failed) / (toMs - fromMs);
  };
  const percents = (of: "without" | "returned") =>
    inOrder(rounds.map((round) => Math.round((100 * rate(round[of])) / rate(round.calm))));
  const [without, returned] = [percents("without"), percents("returned")];
  const most = inOrder(rounds.map((round) => round.most));
  console.log(
    `herd: ${without.join(", ")} % of the peak served while ejected, ${returned.join(", ")} % after the return; ` +
      `${report.failures.length} of ${report.requests} failed, p99 ${percentile(report, 0.99).toFixed(0)} ms; ` +
      `most under way at once after the return ${most.join(", ")}; ${grown.toFixed(0)} MB more`,
  );
  expect(without[2]).toBeGreaterThanOrEqual(90);
  expect(returned[2]).toBeGreaterThanOrEqual(90);
  expect(report.failures.length).toBeLessThan(0.05 * report.requests);
  // Who comes back with nothing under way is not sent everything at once.
  expect(most[2]).toBeLessThanOrEqual(3 * workers);
  // Load generator, servers and proxy share this process.
  expect(grown).toBeLessThan(100);
});

interface Stretch {
  readonly fromMs: number;
  readonly toMs: number;
  readonly answers: number;
}

/** All endpoints serve, then two of them are ejected, then these are back. */
interface Round {
  readonly calm: Stretch;
  readonly without: Stretch;
  readonly returned: Stretch;
  /** Requests that one endpoint had at one time after the return. */
  readonly most: number;
}

function inOrder(numbers: readonly number[]): readonly number[] {
  return [...numbers].sort((one, other) => one - other);
}

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
