import type { Socket } from "node:net";
import { connect } from "node:net";
import { describe, expect, it } from "vitest";
import type { Route } from "../../common/model/route.ts";
import type { ProxyApp } from "../../proxy/app.ts";
import { feed, listener, route, routes, staticCluster, virtualHost } from "../support/proxy-resources.ts";
import { liveBytes, sceneOfEachTest } from "../support/scene.ts";

/** Whatever becomes of a request, nothing of it stays behind. */

const { echo, proxy: start } = sceneOfEachTest();

describe("ten thousand requests", () => {
  it("leave nothing behind, however they ended", { timeout: 180_000 }, async () => {
    const app = await echo("app", (request, response) => {
      request.resume();
      if (request.url!.startsWith("/broken")) request.socket.destroy();
      else if (request.url!.startsWith("/hangs")) return;
      else response.writeHead(request.url!.startsWith("/fails") ? 503 : 200).end("ok");
    });
    const proxy = await start();
    await feed(proxy.sink, {
      clusters: [staticCluster("c", app.port)],
      routes: [routes("r")],
      hosts: { r: [virtualHost("all", ["*"], all)] },
      listeners: [listener("out", "r")],
    });
    await round(proxy, 2_000);
    await quiet(proxy);
    const before = liveBytes();
    await round(proxy, 10_000);
    await quiet(proxy);
    // 100 bytes a request would be ten times as much as noise; nothing that is kept is as small as that.
    expect(liveBytes() - before).toBeLessThan(1_500_000);
  });
});

const plain = route([["c", 1]]);
const forward = plain.action as Extract<Route["action"], { kind: "forward" }>;
const careful: Route["action"] = {
  ...forward,
  timeoutMs: 100,
  retry: {
    attempts: 1,
    perTryTimeoutMs: 10,
    on: ["5xx", "reset"],
    statusCodes: [],
    baseIntervalMs: 1,
    maxIntervalMs: 2,
  },
  mirrors: [{ destination: "c", fraction: 0.2, shadowHostSuffix: false }],
};

const all: readonly Route[] = [
  ...["/broken", "/hangs", "/fails"].map((prefix) => route([["c", 1]], { prefix, action: careful })),
  route([["c", 1]], { prefix: "/slow", fault: { delay: { kind: "fixed", ms: 2, fraction: 1 } } }),
  plain,
];

/** Each kind of ending in turn, over eight clients at once; one in ten goes away without waiting. */
async function round(proxy: ProxyApp, requests: number): Promise<void> {
  let sent = 0;
  const client = async () => {
    while (sent < requests) {
      const paths = [
        "/",
        "/",
        "/",
        "/slow",
        "/fails",
        "/",
        "/",
        "/",
        sent % 20 === 8 ? "/hangs" : "/",
        "/broken",
      ];
      const at = sent++;
      await exchange(proxy, paths[at % 10]!, at % 10 === 3, at % 3 === 0 ? "body" : "");
    }
  };
  await Promise.all(Array.from({ length: 8 }, client));
}

function exchange(proxy: ProxyApp, path: string, leaves: boolean, body: string): Promise<void> {
  return new Promise((resolve) => {
    const socket: Socket = connect({ host: "127.0.0.1", port: proxy.port("out")! });
    socket.on("error", () => {});
    socket.on("close", () => resolve());
    socket.write(
      `PUT ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    if (leaves) setTimeout(() => socket.resetAndDestroy(), 1);
    else socket.resume();
  });
}

/** Waits until no request is under way, copies included. */
async function quiet(proxy: ProxyApp): Promise<void> {
  const active = () =>
    [...proxy.clusters].flatMap(({ endpoints }) => [...endpoints].map(({ active }) => active));
  await expect.poll(() => active().reduce((sum, one) => sum + one, 0), { timeout: 30_000 }).toBe(0);
}
