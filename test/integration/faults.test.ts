import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { request } from "undici";
import { afterEach, describe, expect, it } from "vitest";
import type { FaultPolicy } from "../../common/model/route.ts";
import type { TcpFault } from "../../common/model/tcp-fault.ts";
import type { ProxyApp } from "../../proxy/app.ts";
import { startProxy } from "../../proxy/app.ts";
import { startEcho } from "../support/echo-server.ts";
import {
  feed,
  listener,
  proxySettings,
  route,
  routes,
  staticCluster,
  virtualHost,
} from "../support/proxy-resources.ts";

/** What the kind Fault does to requests and connections, over real sockets. */

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

// covers Fault tcp.reset.after, tcp.reset.percentage, tcp.delay.fixedDelay, tcp.delay.percentage, tcp.bandwidth.kibPerSecond, tcp.bandwidth.percentage
describe("faults of connections", () => {
  it("reset both ends after a while", async () => {
    const accepted: Socket[] = [];
    const { app, port } = await tcp({ reset: { fraction: 1, afterMs: 200 } }, (socket) => {
      accepted.push(socket);
      socket.write("greeting");
    });
    const client = dial(port);
    await once(client, "data");
    const serverEnd = once(accepted[0]!, "error");
    const [error] = (await once(client, "error")) as [NodeJS.ErrnoException];
    const [serverError] = (await serverEnd) as [NodeJS.ErrnoException];
    expect([error.code, serverError.code]).toEqual(["ECONNRESET", "ECONNRESET"]);
    expect(await metric(app, 'weft_faults_injected_total{fault="tcp-reset"}')).toBe(1);
  });

  it("hold the first byte back", async () => {
    const { app, port } = await tcp({ delay: { fraction: 1, ms: 400 } }, (socket) => socket.end("late"));
    const began = performance.now();
    expect(await textOf(dial(port))).toBe("late");
    expect(performance.now() - began).toBeGreaterThanOrEqual(395);
    expect(await metric(app, 'weft_faults_injected_total{fault="tcp-delay"}')).toBe(1);
  });

  it("slow the bytes, each way, and lose none", async () => {
    const question = "q".repeat(16 * 1024);
    const answer = Array.from({ length: 2048 }, (_, line) => `line ${line} of it`.padEnd(15)).join("\n");
    let heard = "";
    const { port } = await tcp({ limit: { fraction: 1, kibPerSecond: 32 } }, (socket) => {
      socket.on("data", (chunk: Buffer) => {
        heard += chunk.toString();
      });
      socket.on("end", () => socket.end(answer));
    });
    const began = performance.now();
    const client = dial(port);
    client.end(question);
    expect(await textOf(client)).toBe(answer);
    expect(heard).toBe(question);
    // 16 KiB one way, then 32 KiB the other; the first portion of each goes at once.
    expect(performance.now() - began).toBeGreaterThanOrEqual(1_300);
  });

  it("leave connections alone that are not chosen", async () => {
    const never = { fraction: 0, ms: 60_000, afterMs: 0, kibPerSecond: 1 };
    const { app, port } = await tcp({ delay: never, reset: never, limit: never }, (socket) =>
      socket.end("fine"),
    );
    expect(await textOf(dial(port))).toBe("fine");
    expect(await metric(app, 'weft_faults_injected_total{fault="tcp-limit"}')).toBe(0);
  });
});

describe("faults of requests", () => {
  it("come when a request asks for them, where the route allows it", async () => {
    const { app, ask } = await http({
      delay: { fraction: 1, kind: "header" },
      abort: { fraction: 1, fromHeader: true },
    });
    expect((await ask()).statusCode).toBe(200);
    const began = performance.now();
    const faulty = await ask({ "x-envoy-fault-abort-request": "418", "x-envoy-fault-delay-request": "300" });
    expect([faulty.statusCode, await faulty.body.text()]).toEqual([418, "fault filter abort"]);
    expect(performance.now() - began).toBeGreaterThanOrEqual(295);
    expect(await metric(app, 'weft_faults_injected_total{fault="abort"}')).toBe(1);
    expect(await metric(app, "weft_faults_active")).toBe(0);
  });

  it("let an answer trickle", async () => {
    const { ask } = await http({ responseLimit: { fraction: 1, kibPerSecond: 32 } }, 32 * 1024);
    const began = performance.now();
    const { body } = await ask();
    expect((await body.text()).length).toBe(32 * 1024);
    expect(performance.now() - began).toBeGreaterThanOrEqual(850);
  });

  it("are at most so many at one time", async () => {
    const { app, ask } = await http({ delay: { fraction: 1, kind: "fixed", ms: 500 }, maxActive: 3 });
    const took = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const began = performance.now();
        await (await ask()).body.dump();
        return performance.now() - began;
      }),
    );
    expect(took.filter((ms) => ms >= 495)).toHaveLength(3);
    expect(await metric(app, "weft_faults_overflow_total")).toBe(7);
  });
});

async function http(fault: FaultPolicy, bytes = 2) {
  const server = await startEcho("a", (_request, response) => response.end("x".repeat(bytes)));
  stops.push(() => server.stop());
  const app = await start();
  await feed(app.sink, {
    clusters: [staticCluster("c", server.port)],
    routes: [routes("r")],
    hosts: { r: [virtualHost("svc", ["svc"], [{ ...route([["c", 1]]), fault }])] },
    listeners: [listener("out", "r")],
  });
  const ask = (headers: Record<string, string> = {}) =>
    request(`http://127.0.0.1:${app.port("out")}/`, { headers: { host: "svc", ...headers } });
  return { app, ask };
}

async function tcp(tcpFault: TcpFault, serve: (socket: Socket) => void) {
  const server = createServer({ allowHalfOpen: true }, serve);
  server.on("connection", (socket) => {
    stops.push(() => socket.destroy());
    socket.on("error", () => {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  stops.push(() => server.close());
  const app = await start();
  const destinations = [{ cluster: "db", weight: 1 }];
  await feed(app.sink, {
    clusters: [{ ...staticCluster("db", (server.address() as AddressInfo).port), tcpFault }],
    listeners: [
      listener("tcp", "", { filterChains: [{ name: "tcp", tcp: { statPrefix: "tcp", destinations } }] }),
    ],
  });
  return { app, port: app.port("tcp")! };
}

async function start(): Promise<ProxyApp> {
  const proxy = await startProxy(proxySettings({ admin: "127.0.0.1:0" }));
  stops.push(() => proxy.stop());
  return proxy;
}

function dial(port: number): Socket {
  const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  stops.push(() => socket.destroy());
  return socket;
}

async function textOf(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  await once(socket, "end");
  return text;
}

async function metric(proxy: ProxyApp, name: string): Promise<number> {
  const { body } = await request(`http://127.0.0.1:${proxy.admin!.port}/stats/prometheus`);
  const line = (await body.text()).split("\n").find((text) => text.startsWith(`${name} `));
  return Number(line?.split(" ")[1] ?? Number.NaN);
}
