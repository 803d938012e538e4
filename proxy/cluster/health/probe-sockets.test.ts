import type { Server as HttpServer } from "node:http";
import { createServer as createHttpServer } from "node:http";
import type { AddressInfo, Server } from "node:net";
import { createServer } from "node:net";
import { Server as GrpcServer, ServerCredentials, status } from "@grpc/grpc-js";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../../common/base/clock.ts";
import type { HealthProbe, HttpProbe } from "../../../common/model/health-check.ts";
import { connectHttp1 } from "../../http/http1/client.ts";
import { connect } from "../../net/connect.ts";
import type { Prober } from "./probe.ts";
import { createProber } from "./probe.ts";

/** Each kind of check against a real server of its kind. */

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

const http: HttpProbe = {
  kind: "http",
  path: "/healthz",
  method: "GET",
  headers: [["x-check", "1"]],
  expectedStatuses: [{ start: 200, end: 300 }],
  retriableStatuses: [{ start: 500, end: 600 }],
};

describe("a check by HTTP", () => {
  it("asks what it is told to ask and goes by the status", async () => {
    const asked: string[] = [];
    let answer = 204;
    const server = createHttpServer((request, response) => {
      const { method, url, headers } = request;
      asked.push(`${method} ${headers.host} ${url} ${headers["user-agent"]} ${headers["x-check"]}`);
      response.statusCode = answer;
      response.end("fine");
    });
    const probe = prober({ ...http, method: "POST", host: "reviews" }, await port(server));
    expect(await probe.ask()).toEqual({ isWell: true });
    answer = 503;
    expect(await probe.ask()).toEqual({ isWell: false, why: "status 503", atOnce: false });
    answer = 404;
    expect(await probe.ask()).toEqual({ isWell: false, why: "status 404", atOnce: true });
    expect(asked[0]).toBe("POST reviews /healthz Weft/HC 1");
  });

  it.each([
    [true, 1],
    [false, 3],
  ])("keeps its connection when told so (%s)", async (reusesConnection, connections) => {
    let opened = 0;
    const server = createHttpServer((_request, response) => response.end());
    server.on("connection", () => opened++);
    const probe = prober(http, await port(server), reusesConnection);
    for (let i = 0; i < 3; i++) expect(await probe.ask()).toEqual({ isWell: true });
    expect(opened).toBe(connections);
  });

  it("does not take it ill when the server closes a connection that was idle", async () => {
    const server = createHttpServer((_request, response) => response.end());
    const probe = prober(http, await port(server));
    expect(await probe.ask()).toEqual({ isWell: true });
    server.closeIdleConnections();
    expect(await probe.ask()).toEqual({ isWell: true });
  });

  it("says why when nobody listens, and ends a check that is given up", async () => {
    const server = createServer();
    const free = await port(server);
    await new Promise((resolve) => server.close(resolve));
    expect(await prober(http, free).ask()).toMatchObject({
      isWell: false,
      why: "connect_refused: connection_refused",
    });
    const silent = createHttpServer(() => {});
    const probe = prober(http, await port(silent));
    const asked = probe.ask();
    await new Promise((resolve) => silent.once("request", resolve));
    probe.close();
    expect(await asked).toMatchObject({ isWell: false });
  });
});

describe("a check by TCP", () => {
  const ping = Buffer.from("PING\r\n").toString("hex");
  const pong = Buffer.from("PONG").toString("hex");

  it("is passed by whoever takes a connection, when it asks for nothing more", async () => {
    const server = createServer((socket) => socket.on("error", () => {}));
    expect(await prober({ kind: "tcp", receive: [] }, await port(server)).ask()).toEqual({ isWell: true });
  });

  it("waits for the awaited bytes in their order, however they are cut", async () => {
    let connections = 0;
    const server = createServer((socket) => {
      connections++;
      socket.on("error", () => {});
      socket.on("data", (data) => {
        if (String(data) !== "PING\r\n") return;
        socket.write("hello PO");
        setImmediate(() => socket.write("NG and more\r\n"));
      });
    });
    const probe = prober({ kind: "tcp", send: ping, receive: ["68656c6c6f", pong] }, await port(server));
    for (let i = 0; i < 3; i++) expect(await probe.ask()).toEqual({ isWell: true });
    expect(connections).toBe(1);
    const wrongOrder = prober(
      { kind: "tcp", send: ping, receive: [pong, "68656c6c6f"] },
      (server.address() as AddressInfo).port,
    );
    const asked = wrongOrder.ask();
    await new Promise((resolve) => server.once("connection", resolve));
    wrongOrder.close();
    expect(await asked).toMatchObject({ isWell: false });
  });

  it("fails when the connection ends before the answer", async () => {
    const server = createServer((socket) => socket.end("nope"));
    expect(await prober({ kind: "tcp", receive: [pong] }, await port(server)).ask()).toEqual({
      isWell: false,
      why: "upstream_reset: closed_before_the_answer",
    });
  });
});

describe("a check by gRPC", () => {
  it("asks a real gRPC server's health service, and only SERVING is well", async () => {
    const asked: string[] = [];
    const serving: Record<string, number> = { "": 1, shop: 1, cart: 2 };
    const port = await grpc((service) => {
      asked.push(service);
      return serving[service];
    });
    const probe = prober({ kind: "grpc", service: "shop" }, port);
    expect(await probe.ask()).toEqual({ isWell: true });
    serving["shop"] = 2;
    expect(await probe.ask()).toEqual({ isWell: false, why: "serving status NOT_SERVING" });
    expect(await prober({ kind: "grpc", service: "" }, port).ask()).toEqual({ isWell: true });
    const long = "a.very.long.package.name.".repeat(10);
    expect(await prober({ kind: "grpc", service: long }, port).ask()).toEqual({
      isWell: false,
      why: "gRPC status NOT_FOUND",
    });
    expect(asked).toEqual(["shop", "shop", "", long]);
  });

  it("says why when the server speaks no HTTP/2", async () => {
    const server = createHttpServer((_request, response) => response.end());
    expect(await prober({ kind: "grpc", service: "" }, await port(server)).ask()).toMatchObject({
      isWell: false,
    });
  });
});

function prober(probe: HealthProbe, port: number, reusesConnection = true): Prober {
  const target = { host: "127.0.0.1", port, timeoutMs: 5_000 };
  const made = createProber(probe, {
    connect: () => connectHttp1(target, systemClock),
    open: () => connect(target, systemClock),
    scheme: "http",
    host: "svc",
    reusesConnection,
    clock: systemClock,
  });
  stops.push(() => made.close());
  return made;
}

async function port(server: Server | HttpServer): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  stops.push(
    () =>
      new Promise((resolve) => {
        server.close(resolve);
        if ("closeAllConnections" in server) server.closeAllConnections();
      }),
  );
  return (server.address() as AddressInfo).port;
}

/** grpc-js's server with a health service; `undefined`: NOT_FOUND. */
async function grpc(serving: (service: string) => number | undefined): Promise<number> {
  const server = new GrpcServer();
  server.addService(
    {
      check: {
        path: "/grpc.health.v1.Health/Check",
        requestStream: false,
        responseStream: false,
        requestSerialize: (value: Buffer) => value,
        requestDeserialize: (bytes: Buffer) => bytes,
        responseSerialize: (value: number) => Buffer.from([0x08, value]),
        responseDeserialize: (bytes: Buffer) => bytes[1] ?? 0,
      },
    },
    {
      check: (
        call: { request: Buffer },
        answer: (error: { code: number } | null, value?: number) => void,
      ) => {
        const lengthBytes = call.request.length > 129 ? 2 : 1;
        const found = serving(call.request.subarray(1 + lengthBytes).toString());
        if (found === undefined) answer({ code: status.NOT_FOUND });
        else answer(null, found);
      },
    },
  );
  stops.push(() => server.forceShutdown());
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
}
