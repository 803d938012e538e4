import type { ServerHttp2Stream } from "node:http2";
import { createServer as createHttp2 } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { createServer } from "node:net";
import { request } from "undici";
import { afterEach, describe, expect, it } from "vitest";
import type { ProxyApp } from "../../proxy/app.ts";
import type { EndpointState } from "../../proxy/cluster/endpoint-state.ts";
import type { EchoServer } from "../support/echo-server.ts";
import { startEcho } from "../support/echo-server.ts";
import { onlyPort, YamlMesh } from "../support/yaml-mesh.ts";

/** What each field of a HealthCheck does, from YAML to sockets: a sidecar that calls `ratings`, and servers that are asked. */

const stops: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

const often = "interval: 100ms, noTrafficInterval: 100ms, intervalJitter: 0s, initialJitter: 0s, timeout: 2s";

describe("a HealthCheck by HTTP", () => {
  // covers HealthCheck http.method, http.host, http.headers{}
  it("asks as it is told to", async () => {
    const app = await echo("a");
    await mesh(
      [service("a", [app.port])],
      check("http: { path: /up, method: HEAD, host: inner, headers: { x-c: y } }"),
    );
    await until(() => app.requests > 0);
    expect(app.last).toMatchObject({ method: "HEAD", url: "/up", headers: { host: "inner", "x-c": "y" } });
    expect(app.last!.headers["user-agent"]).toBe("Weft/HC");
  });

  // covers HealthCheck reuseConnection
  it.each([
    [true, 1],
    [false, 3],
  ])("uses one connection or many (%s)", async (reuse, least) => {
    const app = await echo("a");
    let connections = 0;
    app.server.on("connection", () => connections++);
    await mesh([service("a", [app.port])], check(`http: {}, reuseConnection: ${reuse}`));
    await until(() => app.requests >= 3);
    if (reuse) expect(connections).toBe(least);
    else expect(connections).toBeGreaterThanOrEqual(least);
  });

  // covers HealthCheck http.path
  it("asks in HTTP/2 at a port that speaks it", async () => {
    const server = createHttp2();
    const asked: string[] = [];
    server.on("stream", (stream: ServerHttp2Stream, headers) => {
      asked.push(`${headers[":method"]} ${headers[":authority"]} ${headers[":path"]}`);
      stream.respond({ ":status": 204 }, { endStream: true });
    });
    const sessions = new Set<{ destroy(): void }>();
    server.on("session", (session) => sessions.add(session));
    const port = await listen(server);
    stops.push(() => {
      for (const session of sessions) session.destroy();
      server.close();
    });
    const { proxy } = await mesh([service("a", [port], "HTTP2")], check("http: { path: /up }"));
    await until(() => asked.length >= 3);
    expect(asked[0]).toBe("GET ratings.default.svc.cluster.local /up");
    expect(sessions.size).toBe(1);
    expect(states(proxy).map(({ health }) => [health.isChecked, health.isWell])).toEqual([[true, true]]);
  });

  // covers HealthCheck unhealthyInterval
  it("asks those who are ill in their own rhythm", async () => {
    const [well, ill] = [await echo("well"), await echo("ill", 500)];
    await mesh(
      [service("a", [well.port, ill.port])],
      `${check("http: {}", "interval: 1h, noTrafficInterval: 1h, unhealthyInterval: 100ms, initialJitter: 0s")}`,
    );
    const { proxy } = running!;
    await until(() => states(proxy).some(({ health }) => !health.isWell));
    // While nobody calls, it waits as long as all others.
    expect(ill.requests).toBe(1);
    expect(await get()).toEqual({ status: 200, by: "well" });
    await until(() => ill.requests >= 4);
    expect(well.requests).toBe(2);
  });

  // covers HealthCheck target.service.subset, target.service.port
  it("is for one subset, or one port, when it says so", async () => {
    const [v1, v2] = [await echo("v1"), await echo("v2")];
    const rule = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: a }
spec: { host: ratings, subsets: [{ name: v2, labels: { version: v2 } }] }
`;
    const entry = service("a", [v1.port, v2.port]);
    const { apply } = await mesh([entry, rule], check("http: {}", often, "host: ratings, subset: v2"));
    await until(() => v2.requests >= 2);
    expect(v1.requests).toBe(0);
    await apply([entry, rule], check("http: {}", often, "host: ratings, port: 81"));
    const seen = v2.requests;
    await until(() => checkedClusters().every((name) => name.includes("|81|")));
    expect(v2.requests - seen).toBeLessThanOrEqual(1);
    await apply([entry, rule], check("http: {}", often, "host: ratings, port: 80"));
    await until(() => v1.requests >= 2);
  });

  // covers HealthCheck minHealthPercent
  it("counts for nothing while too few would be left, unless none needs to be left", async () => {
    const ill = await echo("ill", 503);
    const entry = service("a", [ill.port]);
    const { apply } = await mesh([entry], check("http: {}"));
    await until(() => states(running!.proxy).every(({ health }) => !health.isWell));
    expect((await get()).status).toBe(503);
    expect((await get()).by).toBe("ill");
    await apply([entry], check("http: {}, minHealthPercent: 0"));
    expect(await get()).toEqual({ status: 503, by: undefined });
  });

  // covers HealthCheck endsEjection
  it("brings back whom outlier detection has ejected, where it is told to", async () => {
    const app = await echo("a");
    const rule = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: a }
spec: { host: ratings, trafficPolicy: { outlierDetection: { consecutive5xxErrors: 1, baseEjectionTime: 1h } } }
`;
    const entry = service("a", [app.port]);
    const { apply, proxy } = await mesh([entry, rule], check("http: { path: /up }, minHealthPercent: 0"));
    await until(() => app.requests >= 1);
    failing = true;
    await get();
    const asked = app.requests;
    await until(() => app.requests >= asked + 3);
    expect(states(proxy).map(({ outlier }) => outlier.isEjected)).toEqual([true]);
    await apply([entry, rule], check("http: { path: /up }, minHealthPercent: 0, endsEjection: true"));
    await until(() => states(proxy).every(({ outlier }) => !outlier.isEjected));
    failing = false;
    expect(await get()).toEqual({ status: 200, by: "a" });
  });
});

describe("a HealthCheck by TCP", () => {
  // covers HealthCheck tcp.send, tcp.receive[]
  it("says what it is told to and waits for the answer", async () => {
    let answer = "+PONG\r\n";
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("data", (data) => socket.write(String(data) === "PING\r\n" ? answer : "-ERR\r\n"));
    });
    const port = await listen(server);
    stops.push(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    const { proxy } = await mesh(
      [service("a", [port])],
      check(
        'tcp: { send: "PING\\r\\n", receive: ["PONG"] }, unhealthyThreshold: 1',
        often.replace("2s", "100ms"),
      ),
    );
    await until(() => states(proxy).every(({ health }) => health.isChecked && health.isWell));
    answer = "-LOADING\r\n";
    await until(() => states(proxy).every(({ health }) => !health.isWell));
    expect(states(proxy)[0]!.health.lastFailure).toBe("timeout");
  });
});

describe("a HealthCheck by gRPC", () => {
  // covers HealthCheck grpc.service, grpc.authority
  it("asks for the service by its name and goes by the serving status", async () => {
    let serving = 1;
    const asked: string[] = [];
    const server = createHttp2();
    server.on("stream", (stream: ServerHttp2Stream, headers) => {
      const parts: Buffer[] = [];
      stream.on("data", (part: Buffer) => parts.push(part));
      stream.on("end", () => {
        asked.push(`${headers[":authority"]} ${headers[":path"]} ${Buffer.concat(parts).subarray(7)}`);
        stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
        stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
        stream.end(Buffer.from([0, 0, 0, 0, 2, 8, serving]));
      });
    });
    const port = await listen(server);
    const sessions = new Set<{ destroy(): void }>();
    server.on("session", (session) => sessions.add(session));
    stops.push(() => {
      for (const session of sessions) session.destroy();
      server.close();
    });
    const { proxy } = await mesh(
      [service("a", [port], "GRPC")],
      check(
        "grpc: { service: shop.Ratings, authority: ratings.shop }, unhealthyThreshold: 1, healthyThreshold: 1",
      ),
    );
    await until(() => asked.length >= 2);
    expect(asked[0]).toBe("ratings.shop /grpc.health.v1.Health/Check shop.Ratings");
    expect(states(proxy)[0]!.health).toMatchObject({ isChecked: true, isWell: true });
    serving = 2;
    await until(() => !states(proxy)[0]!.health.isWell);
    expect(states(proxy)[0]!.health.lastFailure).toBe("serving status NOT_SERVING");
    serving = 1;
    await until(() => states(proxy)[0]!.health.isWell);
  });
});

let running: { readonly proxy: ProxyApp } | undefined;
/** Requests that are no checks are answered with 500. */
let failing = false;

async function mesh(resources: readonly string[], healthCheck: string) {
  failing = false;
  const made = new YamlMesh();
  stops.push(() => made.stop());
  const apply = (all: readonly string[], one: string) => made.apply(...all, one);
  await apply(resources, healthCheck);
  const proxy = await made.proxy();
  running = { proxy };
  return { proxy, apply };
}

function service(name: string, ports: readonly number[], protocol = "HTTP"): string {
  const endpoints = ports.map(
    (port, index) =>
      `    - { address: 127.0.0.1, ports: { http: ${port}, other: ${port} }, labels: { version: v${index + 1} } }`,
  );
  return `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name} }
spec:
  hosts: [ratings]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: ${protocol} }, { number: 81, name: other, protocol: HTTP }]
  endpoints:
${endpoints.join("\n")}
`;
}

function check(how: string, rhythm = often, target = "host: ratings, port: 80"): string {
  return `
apiVersion: weft.dev/v1alpha1
kind: HealthCheck
metadata: { name: ratings }
spec: { target: { service: { ${target} } }, ${how}, ${rhythm} }
`;
}

function states(proxy: ProxyApp): readonly EndpointState[] {
  const cluster = [...proxy.clusters].find(({ name }) => name.startsWith("outbound|80||ratings"));
  return [...(cluster?.endpoints ?? [])];
}

function checkedClusters(): readonly string[] {
  return [...running!.proxy.clusters].filter(({ checker }) => checker !== undefined).map(({ name }) => name);
}

async function get() {
  const url = `http://127.0.0.1:${onlyPort(running!.proxy)}/`;
  const { statusCode, headers, body } = await request(url, { headers: { host: "ratings" } });
  await body.dump();
  return { status: statusCode, by: headers["x-served-by"] as string | undefined };
}

async function echo(name: string, status = 200): Promise<EchoServer> {
  const server = await startEcho(name, (incoming, response) => {
    response.statusCode = failing && incoming.headers["user-agent"] !== "Weft/HC" ? 500 : status;
    response.end();
  });
  stops.push(() => server.stop());
  return server;
}

async function listen(server: {
  listen(port: number, host: string, run: () => void): unknown;
  address(): AddressInfo | string | null;
}): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

async function until(ask: () => boolean): Promise<void> {
  while (!ask()) await new Promise((resolve) => setTimeout(resolve, 5));
}
