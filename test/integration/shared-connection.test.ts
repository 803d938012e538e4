import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { Agent, createServer, request } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { connect } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ProxyApp } from "../../proxy/app.ts";
import { metricSum } from "../support/metrics.ts";
import type { SecureMesh } from "../support/secure-mesh.ts";
import { startSecureMesh } from "../support/secure-mesh.ts";

let mesh: SecureMesh;
let app: App;
let server: ProxyApp;
let client: ProxyApp;

beforeEach(async () => {
  mesh = await startSecureMesh();
  app = await startApp();
  server = await mesh.sidecar("review-v1", "review", app.port);
  client = await mesh.sidecar("product-v1", "product", 1);
  await mesh.apply(service(server.port("virtualInbound")!));
});
afterEach(async () => {
  await mesh.stop();
  await app.stop();
});

describe("requests of HTTP/1.1 between two sidecars", () => {
  it("share one connection, however many are under way", async () => {
    let release = (): void => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    app.answer = (_, response) => void released.then(() => response.end("done"));
    const answers = Array.from({ length: 60 }, () => say("GET / HTTP/1.1", []));
    while (app.requests < 60) await turn();
    release();
    for (const answer of await Promise.all(answers)) expect(answer).toContain("done");
    expect(await handshakes()).toBe(1);
    expect(await requests(server, { response_code: "200", request_protocol: "http" })).toBe(60);
    expect(await requests(client, { response_code: "200", request_protocol: "http" })).toBe(60);
  });

  it("arrive and are answered as they were written: case of names, phrase, order", async () => {
    app.answer = (incoming, response) => {
      response.writeHead(200, "Very Fine", ["X-OddlY-Cased", "a", "x-lower", "b", "X-OddlY-Cased", "c"]);
      response.end(JSON.stringify(incoming.rawHeaders));
    };
    for (let i = 0; i < 3; i++) {
      const answer = await say("GET /caf%E9?Q=1 HTTP/1.1", ["x-iD: 1", "X-ID: 2", "ACCEPT: *", "aCCept: b"]);
      expect(answer).toContain(
        "HTTP/1.1 200 Very Fine\r\nX-OddlY-Cased: a\r\nx-lower: b\r\nX-OddlY-Cased: c",
      );
      expect(answer).toContain('"x-iD","1","X-ID","2","ACCEPT","*","aCCept","b"');
      expect(app.target).toBe("/caf%E9?Q=1");
    }
    expect(await handshakes()).toBe(1);
  });

  it("keep how their bodies end: by length, in chunks, with trailers, not at all", async () => {
    app.answer = (incoming, response) => {
      const seen: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => seen.push(chunk));
      incoming.on("end", () => {
        const { "content-length": length = "", "transfer-encoding": coding = "" } = incoming.headers;
        if (incoming.url === "/chunks") {
          response.writeHead(200, ["Trailer", "X-Sum"]);
          response.write(`${length}|${coding}|${Buffer.concat(seen).toString()}|`);
          response.addTrailers([["X-Sum", incoming.rawTrailers.join(":")]] as never);
          response.end();
        } else {
          const text = `${length}|${coding}|${Buffer.concat(seen).toString()}`;
          response.writeHead(incoming.url === "/none" ? 204 : 200, { "Content-Length": text.length });
          response.end(text);
        }
      });
    };
    const byLength = await say("POST /length HTTP/1.1", ["Content-Length: 5"], "hello");
    expect(byLength).toContain("Content-Length: 8\r\n");
    expect(byLength).toContain("\r\n\r\n5||hello");
    const chunks = "3\r\nabc\r\n2\r\nde\r\n0\r\nX-Seen: yes\r\n\r\n";
    const byChunks = await say("POST /chunks HTTP/1.1", ["Transfer-Encoding: chunked"], chunks);
    expect(byChunks).toContain("Transfer-Encoding: chunked");
    expect(byChunks).toContain("|chunked|abcde|");
    expect(byChunks).toContain("X-Sum: X-Seen:yes");
    const none = await say("GET /none HTTP/1.1", []);
    expect(none).toContain("HTTP/1.1 204 No Content");
    expect(none).not.toMatch(/content-length/i);
    const head = await say("HEAD /length HTTP/1.1", []);
    expect(head).toContain("Content-Length: 2\r\n");
    expect(head.endsWith("\r\n\r\n")).toBe(true);
    expect(await handshakes()).toBe(1);
  });

  it("wait with their body until the app says 100, and pass on other interim answers", async () => {
    app.answer = (incoming, response) => {
      response.writeEarlyHints({ link: "</a.css>; rel=preload" });
      incoming.resume().on("end", () => response.end("taken"));
    };
    const socket = await dial();
    const heard = listen(socket);
    socket.write("PUT / HTTP/1.1\r\nHost: review:9080\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    await heard.until("100 Continue");
    socket.write("body");
    await heard.until("taken");
    expect(heard.text()).toContain("HTTP/1.1 103 Early Hints");
    socket.destroy();
  });

  it("make way for tunnels, which have connections of their own", async () => {
    app.server.on("upgrade", (_, socket: Socket) => {
      socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
      socket.pipe(socket);
    });
    expect(await say("GET / HTTP/1.1", [])).toContain("200");
    const socket = await dial();
    const heard = listen(socket);
    socket.write("GET / HTTP/1.1\r\nHost: review:9080\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
    await heard.until("101 Switching");
    socket.write("ping");
    await heard.until("ping");
    socket.destroy();
    expect(await handshakes()).toBe(2);
  });

  it("are not lost when the other sidecar drains its connections", async () => {
    app.answer = (_, response) => response.end("fine");
    const agent = new Agent({ keepAlive: true });
    let [failed, done] = [0, 0];
    let isOver = false;
    const load = Array.from({ length: 4 }, async () => {
      while (!isOver) {
        if ((await status(agent)) === 200) done++;
        else failed++;
      }
    });
    for (let round = 0; round < 3; round++) {
      const mode = round % 2 === 0 ? "STRICT" : "PERMISSIVE";
      // The chain that has the connections goes, so they get GOAWAY while requests are under way.
      await mesh.apply(peerAuthentication(mode));
      const before = done;
      while (done < before + 50 && failed === 0) await turn();
    }
    isOver = true;
    await Promise.all(load);
    agent.destroy();
    expect(failed).toBe(0);
    expect(await handshakes()).toBeGreaterThan(1);
  });

  // covers DestinationRule trafficPolicy.connectionPool.http.h2UpgradePolicy
  it("have a connection each where a rule says DO_NOT_UPGRADE", async () => {
    await mesh.apply(rule("http: { h2UpgradePolicy: DO_NOT_UPGRADE }"));
    const gate = app.gate();
    const answers = [1, 2, 3].map(() => say("GET / HTTP/1.1", []));
    while (app.requests < 3) await turn();
    gate();
    for (const answer of await Promise.all(answers)) expect(answer).toContain("200 OK");
    expect(await handshakes()).toBe(3);
  });

  // covers DestinationRule trafficPolicy.connectionPool.tcp.maxConnections, trafficPolicy.connectionPool.http.http1MaxPendingRequests
  it("count as the connections that they would have had, where those are limited", async () => {
    await mesh.apply(rule("tcp: { maxConnections: 2 }, http: { http1MaxPendingRequests: 1 }"));
    expect(await say("GET / HTTP/1.1", [])).toContain("200 OK");
    const gate = app.gate();
    const before = app.requests;
    const under = [1, 2].map(() => say("GET / HTTP/1.1", []));
    while (app.requests < before + 2) await turn();
    const [one, other] = [say("GET / HTTP/1.1", []), say("GET / HTTP/1.1", [])];
    expect(await Promise.race([one, other])).toContain("503 Service Unavailable");
    gate();
    const answers = await Promise.all([one, other, ...under]);
    expect(answers.filter((answer) => answer.includes("200 OK"))).toHaveLength(3);
  });
});

interface App {
  readonly server: Server;
  readonly port: number;
  requests: number;
  target: string;
  answer: (incoming: IncomingMessage, response: ServerResponse) => void;
  /** Holds all answers until what it returns is called. */
  gate(): () => void;
  stop(): Promise<void>;
}

async function startApp(): Promise<App> {
  const server = createServer((incoming, response) => {
    made.requests++;
    made.target = incoming.url ?? "";
    made.answer(incoming, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const made: App = {
    server,
    port: (server.address() as AddressInfo).port,
    requests: 0,
    target: "",
    answer: (_, response) => void response.end("ok"),
    gate() {
      let open = (): void => {};
      const opened = new Promise<void>((resolve) => {
        open = resolve;
      });
      this.answer = (_, response) => void opened.then(() => response.end("ok"));
      return open;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return made;
}

function dial(): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect(client.port("virtualOutbound")!, "127.0.0.1", () => resolve(socket));
  });
}

function listen(socket: Socket) {
  let text = "";
  let notify = (): void => {};
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
    notify();
  });
  socket.on("close", () => notify());
  return {
    text: () => text,
    async until(part: string): Promise<void> {
      while (!text.includes(part)) {
        if (socket.destroyed) throw new Error(`closed after ${JSON.stringify(text)}`);
        await new Promise<void>((resolve) => {
          notify = resolve;
        });
      }
    },
  };
}

/** Sends a request as written, and reads until the connection ends. */
async function say(line: string, fields: readonly string[], body = ""): Promise<string> {
  const socket = await dial();
  const heard = listen(socket);
  const head = [line, "Host: review:9080", "Connection: close", ...fields].join("\r\n");
  socket.write(`${head}\r\n\r\n${body}`, "latin1");
  await new Promise((resolve) => socket.on("close", resolve));
  return heard.text();
}

function status(agent: Agent): Promise<number> {
  return new Promise((resolve) => {
    const port = client.port("virtualOutbound")!;
    const sent = request({ host: "127.0.0.1", port, agent, headers: { host: "review:9080" } }, (answer) =>
      answer.resume().on("end", () => resolve(answer.statusCode ?? 0)),
    );
    sent.on("error", () => resolve(0));
    sent.end();
  });
}

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 5));
}

function stats({ admin }: ProxyApp): string {
  return `http://127.0.0.1:${admin!.port}/stats/prometheus`;
}

async function handshakes(): Promise<number> {
  const of = (outcome: string) =>
    metricSum(stats(server), "weft_mesh_handshakes_total", { side: "server", outcome });
  return (await of("full")) + (await of("resumed"));
}

function requests(proxy: ProxyApp, labels: Readonly<Record<string, string>>): Promise<number> {
  return metricSum(stats(proxy), "istio_requests_total", labels);
}

function service(port: number): string {
  return `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: review, namespace: shop }
spec:
  hosts: [review.shop.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 9080, name: http, protocol: HTTP }]
  workloadSelector: { labels: { app: review } }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: review-v1, namespace: shop }
spec:
  address: 127.0.0.1
  ports: { http: ${port} }
  labels: { app: review, security.istio.io/tlsMode: istio }
  serviceAccount: review
`;
}

function rule(pool: string): string {
  return `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: review, namespace: shop }
spec: { host: review, trafficPolicy: { connectionPool: { ${pool} } } }
`;
}

function peerAuthentication(mode: string): string {
  return `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: ${mode} } }
`;
}
