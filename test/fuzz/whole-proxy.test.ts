import type { Server, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { setTimeout as delay, setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import { request } from "undici";
import { afterEach, describe, expect, it } from "vitest";
import type { Random } from "../../common/base/random.ts";
import { seededRandom } from "../../common/base/random.ts";
import type { Route, WeightedDestination } from "../../common/model/route.ts";
import { noHeaderOperations } from "../../common/model/route.ts";
import type { ProxyApp } from "../../proxy/app.ts";
import { startProxy } from "../../proxy/app.ts";
import {
  feed,
  listener,
  proxySettings,
  route,
  routes,
  staticCluster,
  virtualHost,
} from "../support/proxy-resources.ts";
import { pieces, requestStream, responseStream } from "./http1-bytes.ts";

/**
 * A whole proxy between clients and servers that both say nearly HTTP, or anything, and leave whenever they like. It must neither crash nor
 * keep anything of them. `WEFT_FUZZ_MS` makes it longer.
 */
const durationMs = Number(process.env["WEFT_FUZZ_MS"] ?? 4_000);
const seed = Number(process.env["WEFT_FUZZ_SEED"] ?? 1);

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

describe("a proxy between clients and servers that misbehave", () => {
  it("neither crashes nor keeps anything of them", async () => {
    const crashes: unknown[] = [];
    const onCrash = (thrown: unknown) => void crashes.push(thrown);
    process.on("uncaughtException", onCrash).on("unhandledRejection", onCrash);
    stops.push(() => process.off("uncaughtException", onCrash).off("unhandledRejection", onCrash));

    const random = seededRandom(seed);
    const upstream = await startUpstream(random);
    const proxy = await startProxy(
      proxySettings(
        { admin: "127.0.0.1:0" },
        {
          http: {
            ...proxySettings().http,
            idleTimeoutMs: 300,
            headerTimeoutMs: 200,
            keepAliveTimeoutMs: 500,
          },
        },
      ),
    );
    stops.push(() => proxy.stop());
    await feed(proxy.sink, {
      clusters: [staticCluster("c", upstream.port)],
      routes: [routes("r")],
      hosts: { r: [virtualHost("all", ["*"], everything)] },
      listeners: [listener("out", "r")],
    });
    const until = performance.now() + durationMs;
    const requests = samples(requestStream, seed);
    let connections = 0;
    const clients = Array.from({ length: 16 }, async () => {
      while (performance.now() < until) {
        await misbehave(proxy.port("out")!, requests.next().value!, random);
        connections++;
      }
    });
    await Promise.all(clients);
    expect(crashes).toEqual([]);
    expect(connections).toBeGreaterThan(50);

    // Everything that waits for something is given up in time.
    await expect
      .poll(async () => `${await metric(proxy, "weft_active_requests")} ${activeOf(proxy)}`, {
        timeout: 10_000,
      })
      .toBe("0 0");
    expect(crashes).toEqual([]);
    const answer = await request(`http://127.0.0.1:${proxy.port("out")}/direct`);
    expect([answer.statusCode, await answer.body.text()]).toEqual([200, "direct"]);
  });
});

const forward = { kind: "forward", destinations: [to("c")], mirrors: [] } as const;

const everything: readonly Route[] = [
  named("direct", { action: { kind: "direct-response", status: 200, body: Buffer.from("direct") } }),
  named("a", {
    action: {
      ...forward,
      destinations: [to("c")],
      timeoutMs: 60,
      retry: {
        attempts: 2,
        perTryTimeoutMs: 20,
        on: ["5xx", "reset", "connect-failure", "retriable-4xx"],
        statusCodes: [404],
        baseIntervalMs: 1,
        maxIntervalMs: 5,
      },
      mirrors: [{ destination: "c", fraction: 1, shadowHostSuffix: true }],
      rewrite: { regex: { pattern: "([a-z]+)", substitution: "<\\1 \\0>" }, authority: "other" },
    },
    requestHeaders: {
      ...noHeaderOperations,
      set: [
        ["x-all", "%REQ(x)%%REQ(:path)%%REQ(cookie)%"],
        ["host", "%REQ(x-host?:authority)%"],
      ],
      remove: ["x"],
    },
    responseHeaders: { ...noHeaderOperations, add: [["x-back", "%RESP(x)%%RESP(set-cookie)%"]] },
  }),
  named("x", { action: { kind: "redirect", status: 301, prefix: "/new", port: "from-request-port" } }),
  named("m", {
    action: {
      ...forward,
      timeoutMs: 200,
      mirrors: [{ destination: "c", fraction: 0.5, shadowHostSuffix: false }],
    },
  }),
  route([], {
    action: forward,
    fault: {
      delay: { kind: "fixed", ms: 10, fraction: 0.1 },
      abort: { httpStatus: 418, fraction: 0.05 },
    },
  }),
];

function named(name: string, change: Partial<Route>): Route {
  return route([["c", 1]], { prefix: `/${name}`, name, ...change });
}

function to(destination: string): WeightedDestination {
  return {
    destination,
    weight: 1,
    requestHeaders: noHeaderOperations,
    responseHeaders: { ...noHeaderOperations, set: [["x-from", "%UPSTREAM_HOST%"]] },
  };
}

/** Endless, and the same for the same seed. */
function* samples(arbitrary: fc.Arbitrary<string>, from: number): Generator<string, never> {
  for (let at = from; ; at++) yield* fc.sample(arbitrary, { numRuns: 200, seed: at });
}

async function misbehave(port: number, stream: string, random: Random): Promise<void> {
  const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: random() < 0.5 });
  socket.on("error", () => {});
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  if (random() < 0.1) socket.pause();
  else socket.resume();
  for (const piece of pieces(scrambled(stream, random), [random(), random()])) {
    socket.write(piece);
    if (random() < 0.5) await nextTurn();
    if (random() < 0.1) await delay(random() * 10);
  }
  const chance = random();
  if (chance < 0.4) socket.end();
  else if (chance < 0.6) socket.resetAndDestroy();
  else if (chance < 0.7) socket.destroy();
  await Promise.race([closed, delay(random() * 60)]);
  socket.destroy();
}

/** One in eight is no HTTP at all. */
function scrambled(stream: string, random: Random): string {
  if (random() < 0.875) return stream.replace(" /", ` /${"axm"[Math.floor(random() * 4)] ?? ""}`);
  return String.fromCharCode(...Array.from({ length: 1 + random() * 400 }, () => Math.floor(random() * 256)));
}

async function startUpstream(random: Random): Promise<{ readonly port: number }> {
  const responses = samples(responseStream, seed);
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    if (random() < 0.05) socket.resetAndDestroy();
    socket.on("data", () => {
      const chance = random();
      if (chance < 0.05) return;
      for (const piece of pieces(responses.next().value!, [random()])) socket.write(piece);
      if (chance < 0.1) socket.end();
      else if (chance < 0.15) socket.resetAndDestroy();
      else if (chance < 0.2) setTimeout(() => socket.write("more"), random() * 20);
    });
    socket.on("end", () => socket.end());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  stops.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = server.address();
  return { port: typeof address === "object" && address !== null ? address.port : 0 };
}

function activeOf(proxy: ProxyApp): number {
  let active = 0;
  for (const { endpoints } of proxy.clusters) for (const endpoint of endpoints) active += endpoint.active;
  return active;
}

async function metric(proxy: ProxyApp, name: string): Promise<string> {
  const answer = await request(`http://127.0.0.1:${proxy.admin!.port}/stats/prometheus`);
  const line = (await answer.body.text()).split("\n").find((text) => text.startsWith(name));
  return line?.split(" ").at(-1) ?? "none";
}
