import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Agent, createServer as createHttpServer, request } from "node:http";
import type { AddressInfo, Server, Socket } from "node:net";
import { createServer } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../common/base/clock.ts";
import { seededRandom } from "../../common/base/random.ts";
import type { CircuitBreakerPolicy } from "../../common/model/circuit-breaker.ts";
import type { ForwardAction, Route } from "../../common/model/route.ts";
import { toMeshError } from "../errors.ts";
import { defaultHttpServerSettings } from "../http/http-server.ts";
import { connectHttp1 } from "../http/http1/client.ts";
import { serveHttp1 } from "../http/http1/server.ts";
import type { Service } from "../http/layer.ts";
import { localReply } from "../http/reply.ts";
import { forwardRoute } from "./contract.ts";
import { buildRouteService } from "./route-service.ts";

/** The filters between the real codecs, where bodies, resets and time-outs are those of sockets. */

const opened: (() => void)[] = [];
afterEach(() => {
  for (const close of opened.splice(0)) close();
});

type Handler = (body: string, response: ServerResponse, incoming: IncomingMessage) => void;

async function upstream(handle: Handler): Promise<number> {
  const server = createHttpServer((incoming, response) => {
    let body = "";
    incoming.setEncoding("latin1");
    incoming.on("data", (chunk: string) => {
      body += chunk;
    });
    incoming.on("error", () => {});
    incoming.on("end", () => handle(body, response, incoming));
  });
  return listening(server);
}

async function listening(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  opened.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

/** A proxy with one route; its clusters are ports. */
async function proxy(route: Route): Promise<number> {
  const context = {
    clock: systemClock,
    random: seededRandom(1),
    upstream:
      (port: string): Service =>
      async (exchange) => {
        const target = { host: "127.0.0.1", port: Number(port), timeoutMs: 5000 };
        const connection = await connectHttp1(target, systemClock);
        connection.onAvailable = () => connection.destroy();
        return connection.send(exchange);
      },
  };
  const forward = buildRouteService(route, context);
  const service: Service = (exchange) =>
    forward(exchange).catch((thrown: unknown) => localReply(exchange, toMeshError(thrown)));
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const downstream = {
      remote: { host: "127.0.0.1", port: socket.remotePort ?? 0 },
      local: { host: "127.0.0.1", port: socket.localPort ?? 0 },
      listener: "test",
      scheme: "http",
    } as const;
    serveHttp1(socket, { settings: defaultHttpServerSettings, clock: systemClock, downstream }, service);
  });
  return listening(server);
}

function routeTo(port: number, action: Partial<ForwardAction>, rest: Partial<Route> = {}): Route {
  const plain = forwardRoute(action, rest);
  const destinations = (plain.action as ForwardAction).destinations.map((given) => ({
    ...given,
    destination: String(port),
  }));
  return { ...plain, action: { ...(plain.action as ForwardAction), destinations } };
}

/** Sends a request whose body goes in two pieces when it is long, and reads the whole answer. */
async function send(port: number, method: string, body = ""): Promise<{ status: number; text: string }> {
  const agent = new Agent({ keepAlive: false });
  const outgoing = request({ host: "127.0.0.1", port, method, agent, headers: { host: "reviews" } });
  const answered = once(outgoing, "response") as Promise<[IncomingMessage]>;
  if (body !== "") outgoing.write(body.slice(0, body.length / 2), "latin1");
  outgoing.end(body.slice(body.length / 2), "latin1");
  const [incoming] = await answered;
  incoming.setEncoding("latin1");
  let text = "";
  for await (const chunk of incoming) text += chunk;
  return { status: incoming.statusCode ?? 0, text };
}

const breaker: CircuitBreakerPolicy = {
  name: "default/reviews",
  errorRate: 1,
  volumeThreshold: 100,
  windowMs: 10_000,
  resetMs: 1000,
  probes: 1,
  errors: ["5xx", "connect-failure", "reset", "timeout"],
};

function withBreaker(route: Route, policy: CircuitBreakerPolicy): Route {
  const action = route.action as ForwardAction;
  const destinations = action.destinations.map((entry) => ({ ...entry, breaker: policy }));
  return { ...route, action: { ...action, destinations } };
}

const policy = { attempts: 2, on: ["5xx"], statusCodes: [], baseIntervalMs: 1, maxIntervalMs: 5 };

describe("filters over sockets", () => {
  it("sends a body of many pieces again after a 503", async () => {
    const bodies: string[] = [];
    const port = await upstream((body, response) => {
      response.statusCode = bodies.push(body) < 3 ? 503 : 200;
      response.end(`attempt ${bodies.length}`);
    });
    const text = "x".repeat(60_000);
    const answer = await send(await proxy(routeTo(port, { retry: policy })), "PUT", text);
    expect(answer).toEqual({ status: 200, text: "attempt 3" });
    expect(bodies.map((body) => body === text)).toEqual([true, true, true]);
  });

  it("passes a body on that is too long to be kept, once", async () => {
    let attempts = 0;
    const text = "y".repeat(3_000_000);
    const port = await upstream((body, response) => {
      attempts++;
      response.statusCode = 503;
      response.end(String(body === text));
    });
    const answer = await send(await proxy(routeTo(port, { retry: policy })), "PUT", text);
    expect([answer.status, answer.text, attempts]).toEqual([503, "true", 1]);
  });

  it("tries again after a reset and after a try that takes too long", async () => {
    let attempts = 0;
    const port = await upstream((_body, response, incoming) => {
      attempts++;
      if (attempts === 1) incoming.socket.destroy();
      else if (attempts === 3) response.end("third");
    });
    const retry = { ...policy, perTryTimeoutMs: 1000 };
    const answer = await send(await proxy(routeTo(port, { retry })), "GET");
    expect([answer, attempts]).toEqual([{ status: 200, text: "third" }, 3]);
  });

  it("gives up in time, also in the middle of the answer", async () => {
    const silent = await upstream(() => {});
    const answer = await send(await proxy(routeTo(silent, { timeoutMs: 100 })), "POST", "hello");
    expect(answer.status).toBe(504);

    const stuck = await upstream((_body, response) => response.write("beginning"));
    const broken = send(await proxy(routeTo(stuck, { timeoutMs: 100 })), "GET");
    await expect(broken).rejects.toThrow();
  });

  it("answers in the place of a destination that is too slow", async () => {
    const silent = await upstream(() => {});
    const body = "review not available";
    const fallback = { kind: "direct-response", status: 200, body, headers: [] } as const;
    const slow = withBreaker(routeTo(silent, { timeoutMs: 100 }), { ...breaker, fallback });
    expect(await send(await proxy(slow), "POST", "hello")).toEqual({ status: 200, text: body });
  });

  it("answers with what a destination said last before it died, whole, and lets no half answer count", async () => {
    const text = "w".repeat(300_000);
    let served = 0;
    const port = await upstream((_body, response, incoming) => {
      served++;
      if (served === 1) response.end(text);
      else if (served > 2) incoming.socket.destroy();
      else response.write("half", () => incoming.socket.destroy());
    });
    const fallback = { kind: "last-good-response", maxAgeMs: 60_000, maxBytes: 1e6, vary: [] } as const;
    const proxyPort = await proxy(withBreaker(routeTo(port, {}), { ...breaker, fallback }));
    expect((await send(proxyPort, "GET")).text === text).toBe(true);
    await expect(send(proxyPort, "GET")).rejects.toThrow();
    const kept = await send(proxyPort, "GET");
    expect([kept.status, kept.text === text]).toEqual([200, true]);
    expect((await send(proxyPort, "POST")).status).toBe(503);
  });

  it("mirrors a long body to one that reads it and one that does not, and the primary sees all of it", async () => {
    let mirrored = (_body: string) => {};
    const copy = new Promise<string>((resolve) => {
      mirrored = resolve;
    });
    const text = "z".repeat(200_000);
    const good = await upstream((body, response) => {
      mirrored(body);
      response.end();
    });
    const deaf = await listening(createServer((socket) => socket.pause().on("error", () => {})));
    const primary = await upstream((body, response) => response.end(String(body === text)));
    const mirrors = [good, deaf].map((port) => ({
      destination: String(port),
      fraction: 1,
      shadowHostSuffix: false,
    }));
    const answer = await send(await proxy(routeTo(primary, { mirrors })), "POST", text);
    expect(answer).toEqual({ status: 200, text: "true" });
    expect((await copy) === text).toBe(true);
  });

  it("answers a client that goes away during a delay with nothing, and forgets it", async () => {
    let forwarded = 0;
    const port = await upstream((_body, response) => {
      forwarded++;
      response.end();
    });
    const fault = { delay: { fraction: 1, kind: "fixed", ms: 800 } } as const;
    const proxyPort = await proxy(routeTo(port, {}, { fault }));
    const outgoing = request({ host: "127.0.0.1", port: proxyPort, headers: { host: "reviews" } });
    outgoing.on("error", () => {});
    outgoing.end();
    await once(outgoing, "finish");
    outgoing.socket?.resetAndDestroy();
    const later = await send(proxyPort, "GET");
    expect([later.status, forwarded]).toEqual([200, 1]);
  });
});
