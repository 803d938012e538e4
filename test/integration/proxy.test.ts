import { connect } from "node:net";
import { Readable } from "node:stream";
import { request } from "undici";
import { describe, expect, it } from "vitest";
import type { ProxyApp } from "../../proxy/app.ts";
import type { EchoServer } from "../support/echo-server.ts";
import { startLoad } from "../support/load.ts";
import {
  cluster,
  endpoint,
  endpoints,
  feed,
  inboundListener,
  listener,
  route,
  routes,
  staticCluster,
  virtualHost,
} from "../support/proxy-resources.ts";
import { liveBytes, sceneOfEachTest } from "../support/scene.ts";

/** A whole proxy in this process, driven as a control plane would, with real sockets on both sides. */

const { echo, proxy: start } = sceneOfEachTest();

describe("a proxy's routes", () => {
  it("sends each host and path where its routes say, and 404 NR elsewhere", async () => {
    const [a, b] = [await echo("a"), await echo("b")];
    const proxy = await start();
    await feed(proxy.sink, {
      clusters: [staticCluster("a", a.port), staticCluster("b", b.port)],
      routes: [routes("r")],
      hosts: {
        r: [
          virtualHost("one", ["one"], [route([["b", 1]], { prefix: "/b" }), route([["a", 1]])]),
          virtualHost("two", ["two"], [route([["b", 1]], { prefix: "/only" })]),
        ],
      },
      listeners: [listener("out", "r")],
    });
    await proxy.whenReady();
    expect(await servedBy(proxy, "one", "/")).toBe("a");
    expect(await servedBy(proxy, "one", "/b/x")).toBe("b");
    expect(await servedBy(proxy, "two", "/only")).toBe("b");
    const missing = await get(proxy, "two", "/other");
    expect([missing.statusCode, await missing.body.text()]).toEqual([404, "no_route: route_not_found\n"]);
    const nobody = await get(proxy, "nobody", "/");
    expect([nobody.statusCode, await nobody.body.text()]).toEqual([
      404,
      "no_route: virtual_host_not_found\n",
    ]);
  });

  it("adds a request id, says how the client spoke and who calls; the app sees no peer header", async () => {
    const app = await echo("app");
    const server = await start({ name: "server" });
    await feed(server.sink, {
      clusters: [staticCluster("app", app.port)],
      listeners: [inboundListener("in", "app")],
    });
    const client = await start({ name: "client", labels: "app=web,version=v1" });
    await feed(client.sink, oneHost("svc", staticCluster("c", server.port("in")!)));
    const answer = await get(client, "svc", "/");
    const { headers } = (await answer.body.json()) as { headers: Record<string, string> };
    expect(headers["x-request-id"]).toMatch(/^[0-9a-f-]{36}$/);
    expect(headers["x-forwarded-proto"]).toBe("http");
    expect(headers["host"]).toBe("svc");
    expect(headers).not.toHaveProperty("x-weft-peer");
  });

  it("lets no mesh header in from outside at a gateway, and says where the client is", async () => {
    const app = await echo("app");
    const workload = { name: "app", namespace: "default", serviceAccount: "app", labels: {} };
    const gateway = await start({ kind: "gateway", name: "gw" });
    await feed(gateway.sink, {
      ...oneHost(
        "svc",
        cluster("c", { discovery: { kind: "static", endpoints: [endpoint(app.port, { workload })] } }),
      ),
      listeners: [listener("out", "r", { direction: "gateway" })],
    });
    const answer = await request(`http://127.0.0.1:${gateway.port("out")}/`, {
      headers: {
        host: "svc",
        "X-Envoy-Retry-On": "5xx",
        "x-weft-peer": "forged;a;b;c;d",
        "x-forwarded-client-cert": "By=x",
        "x-forwarded-for": "1.2.3.4",
        "x-forwarded-proto": "https",
      },
    });
    const { headers } = (await answer.body.json()) as { headers: Record<string, string> };
    expect(headers["x-weft-peer"]).toBe("gw;default;default;;");
    expect(headers["x-forwarded-for"]).toBe("127.0.0.1");
    expect(headers["x-forwarded-proto"]).toBe("http");
    expect(headers).not.toHaveProperty("x-envoy-retry-on");
    expect(headers).not.toHaveProperty("x-forwarded-client-cert");
  });

  it("answers 503 with the reason when there is no cluster, no endpoint, or nobody listens", async () => {
    const proxy = await start();
    const gone = await echo("gone");
    await gone.stop();
    await feed(proxy.sink, {
      clusters: [staticCluster("empty"), staticCluster("refused", gone.port)],
      routes: [routes("r")],
      hosts: {
        r: ["none", "empty", "refused"].map((name) => virtualHost(name, [name], [route([[name, 1]])])),
      },
      listeners: [listener("out", "r")],
    });
    for (const [host, reason] of [
      ["none", "no_cluster: cluster_not_found\n"],
      ["empty", "no_healthy_upstream: no_healthy_endpoint\n"],
      ["refused", "connect_refused: connection_refused\n"],
    ] as const) {
      const answer = await get(proxy, host, "/");
      expect([answer.statusCode, await answer.body.text()]).toEqual([503, reason]);
    }
  });
});

describe("a proxy's way out of the mesh", () => {
  it("reaches what the request names, but never itself", async () => {
    const outside = await echo("outside");
    const proxy = await start();
    const passthrough = cluster("PassthroughCluster", {
      discovery: { kind: "original-dst" },
      loadBalancer: { kind: "passthrough" },
    });
    await feed(proxy.sink, { ...oneHost("*", passthrough) });
    expect(await servedBy(proxy, `127.0.0.1:${outside.port}`, "/")).toBe("outside");
    expect(await servedBy(proxy, `localhost:${outside.port}`, "/")).toBe("outside");
    const loop = await get(proxy, `localhost:${proxy.port("out")}`, "/");
    expect([loop.statusCode, await loop.body.text()]).toEqual([404, "no_route: loop_to_own_listener\n"]);
  });
});

describe("a proxy's metrics", () => {
  it("name both workloads on both sides of a request", async () => {
    const app = await echo("app");
    const server = await start({ name: "server-v1", labels: "app=server,version=v1", admin: "127.0.0.1:0" });
    await feed(server.sink, {
      clusters: [staticCluster("app", app.port)],
      listeners: [inboundListener("in", "app")],
    });
    const client = await start({ name: "client-v2", labels: "app=client,version=v2", admin: "127.0.0.1:0" });
    const workload = {
      name: "server-v1",
      namespace: "default",
      serviceAccount: "server",
      labels: { app: "server" },
    };
    const to = cluster("c", {
      discovery: { kind: "static", endpoints: [endpoint(server.port("in")!, { workload })] },
      service: { hostname: "svc.default.svc.cluster.local", name: "svc", namespace: "default" },
    });
    await feed(client.sink, oneHost("svc", to));
    await servedBy(client, "svc", "/");
    const [atClient, atServer] = [await requestsTotal(client), await requestsTotal(server)];
    expect(atClient).toContain('reporter="source"');
    expect(atServer).toContain('reporter="destination"');
    for (const line of [atClient, atServer]) {
      expect(line).toContain('source_workload="client-v2"');
      expect(line).toContain('source_version="v2"');
      expect(line).toContain('destination_workload="server-v1"');
      expect(line).toContain('response_code="200"');
    }
    expect(atClient).toContain('destination_service="svc.default.svc.cluster.local"');
  });
});

describe("a proxy under load", () => {
  it("loses no request while routes change", async () => {
    const [a, b] = [await echo("a"), await echo("b")];
    const proxy = await start();
    await feed(proxy.sink, {
      clusters: [staticCluster("a", a.port), staticCluster("b", b.port)],
      routes: [routes("r")],
      hosts: { r: [virtualHost("svc", ["svc"], [route([["a", 1]])])] },
      listeners: [listener("out", "r")],
    });
    const load = startLoad({ url: url(proxy), headers: { host: "svc" }, concurrency: 8 });
    for (let change = 1; change <= 20; change++) {
      await load.reached(change * 50);
      const to = change % 2 === 0 ? "a" : "b";
      await feed(proxy.sink, { hosts: { r: [virtualHost("svc", ["svc"], [route([[to, 1]])])] } });
    }
    const report = await load.stop();
    expect(report.failures).toEqual([]);
    expect([...report.statuses.keys()]).toEqual([200]);
    expect(Math.min(a.requests, b.requests)).toBeGreaterThan(100);
  });

  it("loses no request while endpoints come and go", async () => {
    const backends = await Promise.all(["a", "b", "c"].map((name) => echo(name, slowly)));
    const ports = backends.map(({ port }) => port);
    const proxy = await start();
    await feed(proxy.sink, { ...oneHost("svc", cluster("c")), endpoints: [endpoints("c", ...ports)] });
    const load = startLoad({ url: url(proxy), headers: { host: "svc" }, concurrency: 16 });
    for (let change = 1; change <= 20; change++) {
      await load.reached(change * 50);
      const left = ports.filter((_, at) => at !== change % 3);
      await feed(proxy.sink, { endpoints: [endpoints("c", ...left)] });
    }
    const report = await load.stop();
    expect(report.failures).toEqual([]);
    expect(report.servedBy.size).toBe(3);
    const active = [...proxy.clusters.get("c")!.endpoints].map((state) => state.active);
    expect(active).toEqual([0, 0]);
  });

  it("loses no request while its listener moves to another port", async () => {
    const a = await echo("a", slowly);
    const proxy = await start();
    await feed(proxy.sink, oneHost("svc", staticCluster("c", a.port)));
    const before = startLoad({ url: url(proxy), headers: { host: "svc" }, concurrency: 4, requests: 200 });
    await before.reached(50);
    const oldPort = proxy.port("out")!;
    const free = await echo("free");
    await free.stop();
    await feed(proxy.sink, { listeners: [listener("out", "r", { port: free.port })] });
    expect(proxy.port("out")).toBe(free.port);
    expect(await servedBy(proxy, "svc", "/")).toBe("a");
    const report = await before.stop();
    const refused = [...report.errors.keys()];
    // Requests that were under way or on an open connection are answered; only new connections to the old port are refused.
    expect(refused.filter((code) => code !== "ECONNREFUSED")).toEqual([]);
    await expect(request(`http://127.0.0.1:${oldPort}/`)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  it("loses no request when it drains: each open connection is answered and told to close", async () => {
    const a = await echo("a", slowly);
    const proxy = await start();
    await feed(proxy.sink, oneHost("svc", staticCluster("c", a.port)));
    const load = startLoad({ url: url(proxy), headers: { host: "svc" }, concurrency: 16 });
    await load.reached(100);
    const drained = proxy.drain();
    expect(proxy.readiness.isReady).toBe(false);
    await drained;
    const report = await load.stop();
    const lost = [...report.errors.keys()].filter((code) => code !== "ECONNREFUSED");
    expect(lost).toEqual([]);
    expect([...report.statuses.keys()]).toEqual([200]);
  });
});

describe("a proxy's listeners", () => {
  it("refuses a listener whose port is taken, and serves the others", async () => {
    const taken = await echo("taken");
    const proxy = await start();
    const rejections = await feed(proxy.sink, {
      ...oneHost("svc", staticCluster("c", taken.port)),
      listeners: [listener("out", "r"), listener("clash", "r", { port: taken.port })],
    });
    expect(rejections.map(({ name }) => name)).toEqual(["clash"]);
    expect(rejections[0]!.problems[0]!.why).toContain(`127.0.0.1:${taken.port}`);
    expect([...proxy.config().received.listener.keys()]).toEqual(["out"]);
    expect(await servedBy(proxy, "svc", "/")).toBe("taken");
  });

  it("closes a listener that was removed", async () => {
    const a = await echo("a");
    const proxy = await start();
    await feed(proxy.sink, oneHost("svc", staticCluster("c", a.port)));
    const gone = url(proxy);
    await feed(proxy.sink, { removedListeners: ["out"] });
    await expect(request(gone)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  it("refuses a route whose pattern does not compile and keeps the one before", async () => {
    const a = await echo("a");
    const proxy = await start();
    await feed(proxy.sink, oneHost("svc", staticCluster("c", a.port)));
    const bad = route([["c", 1]], {
      match: { path: { kind: "regex", value: "(a+" }, headers: [], queryParams: [] },
    });
    const rejections = await feed(proxy.sink, { hosts: { r: [virtualHost("svc", ["svc"], [bad])] } });
    expect(rejections).toMatchObject([{ name: "r/svc", problems: [{ path: "routes[0].match.path" }] }]);
    expect(await servedBy(proxy, "svc", "/")).toBe("a");
  });
});

describe("two proxies in a row", () => {
  it("carry a WebSocket both ways", async () => {
    const app = await echo("app");
    app.server.on("upgrade", (_, socket) => {
      socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
      socket.on("data", (bytes: Buffer) => socket.write(Buffer.from(bytes.toString().toUpperCase())));
      socket.on("end", () => socket.end());
    });
    const { client } = await twoHops(app);
    const socket = connect(client.port("out")!, "127.0.0.1");
    socket.write("GET /chat HTTP/1.1\r\nHost: svc\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    let text = "";
    const got = (wanted: string) =>
      new Promise<void>((resolve) => {
        const read = () => {
          if (text.includes(wanted)) resolve();
        };
        socket.on("data", read);
        read();
      });
    socket.on("data", (bytes) => {
      text += bytes.toString("latin1");
    });
    await got("\r\n\r\n");
    expect(text).toMatch(/^HTTP\/1.1 101 /);
    socket.write("hello");
    await got("HELLO");
    socket.write("again");
    await got("AGAIN");
    const closed = new Promise((resolve) => socket.on("close", resolve));
    socket.end();
    await closed;
  });

  it("pass 100 MB each way with flat memory and every byte", async () => {
    const total = 100 * 1024 * 1024;
    const app = await echo("app", (incoming, response) => {
      response.setHeader("content-length", incoming.headers["content-length"] ?? "0");
      incoming.pipe(response);
    });
    const { client } = await twoHops(app);
    const answer = await request(url(client), {
      method: "POST",
      headers: { host: "svc", "content-length": String(total) },
      body: Readable.from(chunks(total)),
    });
    const before = liveBytes();
    const live: number[] = [];
    let received = 0;
    let measuredAt = 0;
    for await (const bytes of answer.body) {
      received += bytes.length;
      if (received - measuredAt < 10 * 1024 * 1024) continue;
      measuredAt = received;
      live.push(liveBytes() - before);
    }
    expect(received).toBe(total);
    // Single samples hold buffers that the collector frees a moment later; what was kept would show in all of them.
    expect(Math.min(...live.slice(-5))).toBeLessThan(16 * 1024 * 1024);
  });

  it("hold a fast server back when the client does not read", async () => {
    let written = 0;
    const app = await echo("app", (_, response) => {
      const chunk = Buffer.alloc(64 * 1024);
      const pump = () => {
        do written += chunk.length;
        while (!response.destroyed && response.write(chunk));
      };
      response.on("drain", pump);
      pump();
    });
    const { client } = await twoHops(app);
    const socket = connect(client.port("out")!, "127.0.0.1");
    socket.pause();
    socket.write("GET / HTTP/1.1\r\nHost: svc\r\n\r\n");
    // Until nothing has moved for a while: what the kernel's buffers of three connections hold has been written then.
    for (let seen = -1; seen !== written; ) {
      seen = written;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    expect(written).toBeGreaterThan(64 * 1024);
    expect(written).toBeLessThan(40 * 1024 * 1024);
    socket.destroy();
  });
});

function* chunks(total: number): Generator<Buffer> {
  const chunk = Buffer.alloc(64 * 1024, "x");
  for (let sent = 0; sent < total; sent += chunk.length) yield chunk;
}

/** client proxy → server proxy → app */
async function twoHops(app: EchoServer): Promise<{ readonly client: ProxyApp; readonly server: ProxyApp }> {
  const server = await start({ name: "server" });
  await feed(server.sink, {
    clusters: [staticCluster("app", app.port)],
    listeners: [inboundListener("in", "app")],
  });
  const client = await start({ name: "client" });
  await feed(client.sink, oneHost("svc", staticCluster("c", server.port("in")!)));
  return { client, server };
}

function oneHost(host: string, to: ReturnType<typeof cluster>) {
  return {
    clusters: [to],
    routes: [routes("r")],
    hosts: { r: [virtualHost(host, [host], [route([[to.name, 1]])])] },
    listeners: [listener("out", "r")],
  };
}

function url(proxy: ProxyApp, path = "/"): string {
  return `http://127.0.0.1:${proxy.port("out")}${path}`;
}

function get(proxy: ProxyApp, host: string, path: string) {
  return request(url(proxy, path), { headers: { host } });
}

async function servedBy(proxy: ProxyApp, host: string, path: string) {
  const answer = await get(proxy, host, path);
  await answer.body.dump();
  return answer.headers["x-served-by"];
}

async function requestsTotal(proxy: ProxyApp): Promise<string> {
  const answer = await request(`http://127.0.0.1:${proxy.admin!.port}/stats/prometheus`);
  return (await answer.body.text())
    .split("\n")
    .filter((line) => line.startsWith("istio_requests_total{"))[0]!;
}

/** Takes its time, so that requests are under way when something changes. */
function slowly(_: unknown, response: import("node:http").ServerResponse): void {
  setTimeout(() => response.end("ok"), 5);
}
