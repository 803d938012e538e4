import { request } from "undici";
import { describe, expect, it } from "vitest";
import { startProxy } from "../../proxy/app.ts";
import { startEcho } from "../support/echo-server.ts";
import {
  endpoint,
  feed,
  listener,
  proxySettings,
  route,
  routes,
  staticCluster,
  virtualHost,
} from "../support/proxy-resources.ts";

describe("the config dump of 2,000 services", () => {
  it("is whole, and lets requests through while it is printed", async () => {
    const app = await startEcho("app", (_, response) => response.end("ok"));
    const proxy = await startProxy(proxySettings({ admin: "127.0.0.1:0" }));
    try {
      const names = Array.from({ length: 2_000 }, (_, index) => `service-${index}`);
      const others = Array.from({ length: 10 }, (_, index) => endpoint(20_000 + index));
      await feed(proxy.sink, {
        clusters: [
          staticCluster("c", app.port),
          ...names.map((name) => ({
            ...staticCluster(name, 1),
            discovery: { kind: "static", endpoints: others } as const,
          })),
        ],
        routes: [routes("r")],
        hosts: {
          r: [
            virtualHost("svc", ["svc"], [route([["c", 1]])]),
            ...names.map((name) => virtualHost(name, [name], [route([[name, 1]])])),
          ],
        },
        listeners: [listener("out", "r")],
      });
      const url = `http://127.0.0.1:${proxy.port("out")}/`;
      const ask = async () => (await request(url, { headers: { host: "svc" } })).body.text();
      await ask();
      let isPrinted = false;
      const dump = request(`http://127.0.0.1:${proxy.admin!.port}/config_dump`)
        .then(({ body }) => body.text())
        .finally(() => (isPrinted = true));
      let answered = 0;
      while (!isPrinted) {
        expect(await ask()).toBe("ok");
        answered += 1;
      }
      const text = await dump;
      const { clusters, routes: printed } = JSON.parse(text) as {
        clusters: unknown[];
        routes: { virtualHosts: unknown[] }[];
      };
      expect([clusters.length, printed[0]!.virtualHosts.length]).toEqual([2_001, 2_001]);
      console.log(`${answered} requests were answered while ${text.length >> 10} kB were printed`);
      // In one piece there would be one or two: before it and after it.
      expect(answered).toBeGreaterThan(10);
    } finally {
      await proxy.stop();
      await app.stop();
    }
  });
});
