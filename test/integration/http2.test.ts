import { once } from "node:events";
import { request as http1Request } from "node:http";
import { setTimeout as wait } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { ProxyApp } from "../../proxy/app.ts";
import { Http2Caller, startHttp2App } from "../support/http2-app.ts";
import { liveBytes, sceneOfEachTest } from "../support/scene.ts";
import type { YamlMesh } from "../support/yaml-mesh.ts";
import { onlyPort, resourceYaml } from "../support/yaml-mesh.ts";

/** HTTP/2 and HTTP/1.1 in any combination between client, sidecars and app, with Node's own HTTP/2 at both ends. */

const { after: atEnd, echo, meshOf } = sceneOfEachTest();

const host = "app.test";
const eventually = <T>(look: () => T) => expect.poll(look, { timeout: 20_000 });

function service(port: number, protocol: string, address = "127.0.0.1"): string {
  return resourceYaml(
    "ServiceEntry",
    "app",
    `
hosts: [${host}]
location: MESH_INTERNAL
ports: [{ number: 80, name: main, protocol: ${protocol} }]
resolution: STATIC
endpoints:
- { address: ${address}, ports: { main: ${port} }, labels: { app: app } }`,
  );
}

function policy(http: string): string {
  return resourceYaml(
    "DestinationRule",
    "app",
    `host: ${host}\ntrafficPolicy: { connectionPool: { http: ${http} } }`,
  );
}

async function twoSidecars(
  appPort: number,
  protocol: string,
  ...more: readonly string[]
): Promise<{ mesh: YamlMesh; sidecar: ProxyApp; inbound: ProxyApp }> {
  const mesh = await meshOf(service(1, protocol));
  const inbound = await mesh.proxy({
    name: "app",
    labels: "app=app",
    inbound: "127.0.0.2:1",
    app: `127.0.0.1:${appPort}`,
  });
  await mesh.apply(service(inbound.port("virtualInbound")!, protocol, "127.0.0.2"), ...more);
  return { mesh, inbound, sidecar: await mesh.proxy({ name: "web" }) };
}

function caller(port: number): Http2Caller {
  const made = new Http2Caller(port);
  atEnd(() => made.stop());
  return made;
}

const get = (path = "/", more: object = {}) => ({ ":path": path, ":authority": host, ...more });

interface Http1Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly trailers: NodeJS.Dict<string>;
  readonly text: string;
}

function http1(port: number, path = "/", body?: string): Promise<Http1Answer> {
  return new Promise((resolve, reject) => {
    const method = body === undefined ? "GET" : "POST";
    const asked = http1Request({
      port,
      host: "127.0.0.1",
      path,
      method,
      headers: { host, te: "trailers" },
      agent: false,
    });
    asked.on("response", (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          trailers: response.trailers,
          text,
        }),
      );
    });
    asked.on("error", reject);
    asked.end(body);
  });
}

describe("a request through two sidecars", () => {
  it("goes from HTTP/2 to an app that speaks HTTP/1.1", async () => {
    const app = await echo("v1");
    const { sidecar } = await twoSidecars(app.port, "HTTP");
    const client = caller(onlyPort(sidecar));
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) => client.ask(get(`/${i}`, { cookie: ["a=1", "b=2"], "x-a": "b" }))),
    );
    for (const [i, { status, text, headers }] of answers.entries()) {
      expect([status, headers["x-served-by"]]).toEqual([200, "v1"]);
      expect(JSON.parse(text)).toMatchObject({
        url: `/${i}`,
        method: "GET",
        headers: { host, "x-a": "b", cookie: "a=1; b=2" },
      });
    }
  });

  it("goes from HTTP/1.1 to an app that speaks HTTP/2, with its trailers and interim answers, many on one connection", async () => {
    const app = await startHttp2App((request, response) => {
      let body = "";
      request.on("data", (chunk: Buffer) => {
        body += chunk.toString();
      });
      request.on("end", () => {
        response.writeEarlyHints({ link: "</a.css>; rel=preload" });
        response.setHeader("x-version", request.httpVersion);
        response.write(`${request.method} ${request.url} ${body}`);
        response.addTrailers({ "x-trailer": "behind" });
        response.end();
      });
    });
    atEnd(() => app.stop());
    const { sidecar } = await twoSidecars(app.port, "HTTP2");
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => http1(onlyPort(sidecar), `/${i}`, "content")),
    );
    expect(answers.map(({ text }) => text)).toEqual(
      Array.from({ length: 20 }, (_, i) => `POST /${i} content`),
    );
    expect(answers[0]).toMatchObject({
      status: 200,
      headers: { "x-version": "2.0" },
      trailers: { "x-trailer": "behind" },
    });
    expect(app.opened).toBe(1);
    const interim = await caller(onlyPort(sidecar)).ask(get());
    expect(interim.informational).toEqual([103]);
  });

  it("keeps HEAD, 204, 304 and an empty body what they are, and length where it was", async () => {
    const app = await startHttp2App((request, response) => {
      const status = Number(request.url.slice(1));
      response.writeHead(status, status === 200 ? { "content-length": "0" } : {});
      response.end();
    });
    atEnd(() => app.stop());
    const { sidecar } = await twoSidecars(app.port, "HTTP2");
    const client = caller(onlyPort(sidecar));
    for (const status of [200, 204, 304]) expect((await client.ask(get(`/${status}`))).status).toBe(status);
    const head = await client.ask(get("/200", { ":method": "HEAD" }));
    expect([head.status, head.octets, head.headers["content-length"]]).toEqual([200, 0, "0"]);
    expect((await http1(onlyPort(sidecar), "/200")).headers["content-length"]).toBe("0");
  });

  it("is balanced by itself: one connection's requests go to both endpoints", async () => {
    const [one, two] = [await echo("one"), await echo("two")];
    const mesh = await meshOf(
      `${service(one.port, "HTTP")}  - { address: 127.0.0.1, ports: { main: ${two.port} } }\n`,
    );
    const client = caller(onlyPort(await mesh.proxy({ name: "web" })));
    for (let i = 0; i < 40; i++) await client.ask(get());
    expect(Math.min(one.requests, two.requests)).toBeGreaterThan(5);
  });
});

describe("a DestinationRule", () => {
  const answerVersion = () =>
    startHttp2App((request, response) => {
      response.setHeader("x-version", request.httpVersion);
      response.end();
    });

  // covers DestinationRule trafficPolicy.connectionPool.http.h2UpgradePolicy
  it("has requests to a port of HTTP/1.1 sent as HTTP/2 when it says UPGRADE", async () => {
    const app = await answerVersion();
    atEnd(() => app.stop());
    const mesh = await meshOf(service(app.port, "HTTP"), policy("{ h2UpgradePolicy: UPGRADE }"));
    const sidecar = await mesh.proxy({ name: "web" });
    expect((await http1(onlyPort(sidecar))).headers["x-version"]).toBe("2.0");
    await mesh.apply(service(app.port, "HTTP"), policy("{ h2UpgradePolicy: DO_NOT_UPGRADE }"));
    // The app knows HTTP/2 only.
    expect((await http1(onlyPort(sidecar))).status).toBeGreaterThanOrEqual(400);
  });

  // covers DestinationRule trafficPolicy.connectionPool.http.useClientProtocol
  it("has each request sent in its client's version when it says so", async () => {
    const [old, modern] = [await echo("old"), await answerVersion()];
    atEnd(() => modern.stop());
    const mesh = await meshOf(service(modern.port, "HTTP"), policy("{ useClientProtocol: true }"));
    const sidecar = await mesh.proxy({ name: "web" });
    const client = caller(onlyPort(sidecar));
    expect((await client.ask(get())).headers["x-version"]).toBe("2.0");
    await mesh.apply(service(old.port, "HTTP"), policy("{ useClientProtocol: true }"));
    expect((await http1(onlyPort(sidecar))).headers["x-served-by"]).toBe("old");
  });

  // covers DestinationRule trafficPolicy.connectionPool.http.maxConcurrentStreams, trafficPolicy.connectionPool.http.http2MaxRequests
  it("bounds the requests of one connection, so more are opened, and those of all", async () => {
    let release = (): void => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const app = await startHttp2App((_request, response) => void released.then(() => response.end()));
    atEnd(() => app.stop());
    const mesh = await meshOf(
      service(app.port, "HTTP2"),
      policy("{ maxConcurrentStreams: 2, http2MaxRequests: 6 }"),
    );
    const client = caller(onlyPort(await mesh.proxy({ name: "web" })));
    const first = Array.from({ length: 6 }, () => client.ask(get()));
    await eventually(() => app.requests).toBe(6);
    expect(app.opened).toBe(3);
    expect((await client.ask(get())).status).toBe(503);
    release();
    for (const answer of first) expect((await answer).status).toBe(200);
  });

  // covers DestinationRule trafficPolicy.connectionPool.http.http2KeepAlive.interval, trafficPolicy.connectionPool.http.http2KeepAlive.timeout
  it("gives up connections whose server answers no PING, while it owes an answer", async () => {
    const app = await startHttp2App((request, response) => {
      if (request.url !== "/silent") response.end();
      else {
        // Frozen: TCP still works, nobody reads.
        const socket = request.stream.session!.socket;
        (socket as unknown as { _handle?: { readStop(): void } })._handle?.readStop();
      }
    });
    atEnd(() => app.stop());
    const mesh = await meshOf(
      service(app.port, "HTTP2"),
      policy("{ http2KeepAlive: { interval: 200ms, timeout: 300ms } }"),
    );
    const client = caller(onlyPort(await mesh.proxy({ name: "web" })));
    expect((await client.ask(get("/"))).status).toBe(200);
    expect((await client.ask(get("/silent"))).status).toBe(503);
    expect((await client.ask(get("/"))).status).toBe(200);
    expect(app.opened).toBe(2);
  });
});

describe("a connection that ends", () => {
  it("says so by GOAWAY while a sidecar drains, and finishes what it carries", async () => {
    let release = (): void => {};
    const app = await startHttp2App((_request, response) => {
      release = () => response.end("late");
    });
    atEnd(() => app.stop());
    const { sidecar } = await twoSidecars(app.port, "HTTP2");
    const client = caller(onlyPort(sidecar));
    const goaway = once(client.session, "goaway");
    const answer = client.ask(get());
    await eventually(() => app.requests).toBe(1);
    const drained = sidecar.drain();
    await goaway;
    release();
    expect((await answer).text).toBe("late");
    await drained;
    await eventually(() => client.session.closed || client.session.destroyed).toBe(true);
  });

  it("costs no request when the server goes away in between", async () => {
    const app = await startHttp2App((_request, response) => void response.end("here"));
    atEnd(() => app.stop());
    const { sidecar } = await twoSidecars(app.port, "HTTP2");
    const client = caller(onlyPort(sidecar));
    const statuses: number[] = [];
    for (let i = 0; i < 200; i++) {
      if (i % 20 === 10) for (const session of app.sessions) session.close();
      statuses.push((await client.ask(get())).status);
    }
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(app.opened).toBeGreaterThan(5);
  });
});

describe("large bodies", () => {
  const piece = Buffer.alloc(1 << 20, "x");
  const pieces = 200;

  it("pass both ways through two sidecars in flat memory", async () => {
    const app = await startHttp2App((request, response) => {
      let octets = 0;
      request.on("data", (chunk: Buffer) => {
        octets += chunk.length;
      });
      request.on("end", () => {
        response.setHeader("x-octets", String(octets));
        let left = request.url === "/down" ? pieces : 0;
        const more = (): void => {
          while (left-- > 0) if (!response.write(piece)) return void response.once("drain", more);
          response.end();
        };
        more();
      });
    });
    atEnd(() => app.stop());
    const { sidecar } = await twoSidecars(app.port, "HTTP2");
    const client = caller(onlyPort(sidecar));
    await client.ask(get());
    const before = liveBytes();
    let most = 0;
    const look = (): void => {
      most = Math.max(most, liveBytes() - before);
    };
    const down = client.session.request(get("/down"));
    let octets = 0;
    down.on("data", (chunk: Buffer) => {
      octets += chunk.length;
      if (octets % (50 << 20) < chunk.length) look();
    });
    await once(down, "end");
    expect(octets).toBe(pieces * piece.length);

    const up = client.session.request(get("/up", { ":method": "POST" }));
    const answered = once(up, "response") as Promise<[Record<string, string>]>;
    for (let i = 0; i < pieces; i++) {
      if (!up.write(piece)) await once(up, "drain");
      if (i % 50 === 25) look();
    }
    up.end();
    const [head] = await answered;
    expect(head["x-octets"]).toBe(String(pieces * piece.length));
    // Client, app and both sidecars are one process here.
    expect(most).toBeLessThan(40e6);
  });

  it("wait for a reader that stalls, while others on the connection go on", async () => {
    let written = 0;
    const app = await startHttp2App((request, response) => {
      if (request.url !== "/big") return void response.end("small");
      const more = (): void => {
        while (written < pieces << 20) {
          written += piece.length;
          if (!response.write(piece)) return void response.once("drain", more);
        }
        response.end();
      };
      more();
    });
    atEnd(() => app.stop());
    const { sidecar } = await twoSidecars(app.port, "HTTP2");
    const client = caller(onlyPort(sidecar));
    const stalled = client.session.request(get("/big"));
    await once(stalled, "response");
    // Settled once it has not grown for a while: the windows on the way are full.
    let before = -1;
    while (before !== written) {
      before = written;
      await wait(300);
    }
    expect(written).toBeLessThan(16 << 20);
    expect((await client.ask(get("/small"))).text).toBe("small");
    let octets = 0;
    stalled.on("data", (chunk: Buffer) => {
      octets += chunk.length;
    });
    await once(stalled, "end");
    expect(octets).toBe(pieces << 20);
  });
});
