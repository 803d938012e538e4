import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage, RequestListener } from "node:http";
import { createServer as createHttp } from "node:http";
import { Agent, createServer as createHttps, request as secureRequest } from "node:https";
import type { AddressInfo, Server, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { connect as connectTls, createServer as createTls } from "node:tls";
import { request } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Child } from "../../bench/support/children.ts";
import { freePort, startChild, untilListening } from "../../bench/support/children.ts";
import { certificatesIn } from "../support/certificates.ts";
import { metricSum } from "../support/metrics.ts";

/** A mesh's edge from YAML to sockets: a control plane, a gateway and a sidecar as processes of their own. */

const folder = mkdtempSync(join(tmpdir(), "weft-edge-"));
const file = (name: string) => join(folder, name);
const read = (name: string) => readFileSync(file(name), "utf8");
const children: Child[] = [];
const servers: Server[] = [];
const ports: Record<string, number> = {};

beforeAll(async () => {
  const { makeAuthority, makeCertificate } = certificatesIn(folder);
  makeAuthority("ca");
  makeCertificate("edge", "ca", "DNS:shop.example.com,DNS:bank.example.com,DNS:pg.example.com");
  makeCertificate("backend", "ca", "DNS:raw.example.com,DNS:bank.outside.example,DNS:db.outside.example");
  makeCertificate("client", "ca", "DNS:client");
  const backend = { cert: read("backend.pem"), key: read("backend.key") };
  const tell: RequestListener = (incoming, response) =>
    response.end(
      JSON.stringify({ host: incoming.headers.host, proto: incoming.headers["x-forwarded-proto"] }),
    );
  await listen("ui", createHttp(tell));
  await listen("raw", createHttps(backend, tell));
  await listen(
    "v1",
    createServer({ allowHalfOpen: true }, (socket) => greet(socket, "v1")),
  );
  await listen(
    "v2",
    createServer({ allowHalfOpen: true }, (socket) => greet(socket, "v2")),
  );
  await listen(
    "securedb",
    createTls(backend, (socket) => greet(socket, "secure")),
  );
  const names = ["xds", "http", "admin", "sidecarAdmin", "edge80", "edge443", "edge3306", "edge5432"];
  for (const name of [...names, "outbound", "local3306", "local5432", "local443"])
    ports[name] = await freePort();
  writeFileSync(file("mesh.yaml"), resources());
  await start(
    "control-plane",
    ["--config", file("mesh.yaml"), "--state", file("state")],
    { xds: "--xds", http: "--http" },
    "xds",
  );
  const shared = ["--control-plane", at("xds")];
  const binds = [80, 443, 3306, 5432].flatMap((port) => ["--bind", `${port}=${at(`edge${port}`)}`]);
  await start(
    "gateway",
    ["--name", "edge", "--labels", "app=edge", ...shared, ...binds],
    { admin: "--admin" },
    "admin",
  );
  const own = ["--name", "shop", "--labels", "app=shop", ...shared];
  await start("proxy", own, { sidecarAdmin: "--admin", outbound: "--outbound" }, "sidecarAdmin");
  for (const name of ["edge443", "edge3306", "edge5432", "local3306", "local5432", "local443"])
    await untilListening(ports[name]!, children.at(-1)!);
});

afterAll(async () => {
  for (const child of children.reverse()) await child.stop();
  for (const server of servers) server.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("a gateway", () => {
  // covers Gateway servers[].tls.mode, servers[].tls.serverCertificate, servers[].tls.privateKey, servers[].tls.httpsRedirect, servers[].hosts[]
  it("ends TLS, sends plain HTTP to https, and answers 421 for a host of another certificate", async () => {
    const agent = new Agent({
      ca: read("ca.pem"),
      keepAlive: true,
      maxSockets: 1,
      servername: "shop.example.com",
    });
    const shop = await get("shop.example.com", { agent });
    expect([shop.status, JSON.parse(shop.text)]).toEqual([200, { host: "shop.example.com", proto: "https" }]);
    expect((await get("bank.example.com", { agent })).status).toBe(421);
    agent.destroy();
    const redirected = await request(`http://${at("edge80")}/a?b=c`, {
      headers: { host: "shop.example.com" },
    });
    await redirected.body.dump();
    expect([redirected.statusCode, redirected.headers["location"]]).toEqual([
      301,
      "https://shop.example.com/a?b=c",
    ]);
  });

  // covers Gateway servers[].tls.caCertificates
  it("asks for a client certificate where it should", async () => {
    await expect(get("bank.example.com", {})).rejects.toThrow();
    const own = { cert: read("client.pem"), key: read("client.key") };
    expect((await get("bank.example.com", own)).status).toBe(200);
  });

  // covers VirtualService tls[].match[].sniHosts[], tls[].route[].destination.host, tls[].match[].port, tls[].match[].gateways[]
  it("passes TLS on by its server name", async () => {
    const passed = await get("raw.example.com", {});
    expect([passed.status, passed.subject]).toEqual([200, "backend"]);
    await expect(get("nobody.example.com", {})).rejects.toThrow();
  });

  // covers VirtualService tcp[].match[].port, tcp[].match[].gateways[], tcp[].route[], tcp[].route[].weight, tcp[].route[].destination.subset, tcp[].route[].destination.port.number
  it("divides TCP connections by weight, and counts them", async () => {
    const answers = await Promise.all(Array.from({ length: 60 }, () => ask("edge3306")));
    expect([...new Set(answers)].sort()).toEqual(["v1", "v2"]);
    expect(answers.filter((answer) => answer === "v1").length).toBeGreaterThan(30);
    const labels = { reporter: "source", destination_service: "db.default.svc.cluster.local" };
    await expect
      .poll(() => count("admin", "istio_tcp_connections_closed_total", labels))
      .toBeGreaterThanOrEqual(60);
  });

  // covers Gateway servers[].port.protocol
  it("ends TLS for TCP and passes on what is inside", async () => {
    const socket = connectTls({
      port: ports["edge5432"]!,
      host: "127.0.0.1",
      servername: "pg.example.com",
      ca: read("ca.pem"),
    });
    await once(socket, "secureConnect");
    expect(await answerOf(socket)).toBe("v1");
  });
});

describe("a sidecar", () => {
  // covers Sidecar egress[].port.number, egress[].port.protocol, egress[].bind, egress[].captureMode, egress[].hosts[], workloadSelector.labels{}
  // covers VirtualService tcp[].match[].sourceLabels{}, tcp[].match[].sourceNamespace
  it("opens a port for TCP and follows the rules for its own labels", async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask("local3306")));
    expect(new Set(answers)).toEqual(new Set(["v2"]));
  });

  // covers DestinationRule trafficPolicy.tls.mode, trafficPolicy.tls.caCertificates
  it("begins TLS to a server outside, for HTTP and for TCP", async () => {
    const { statusCode, body } = await request(`http://${at("outbound")}/`, {
      headers: { host: "bank.outside.example" },
    });
    expect([statusCode, await body.json()]).toEqual([200, { host: "bank.outside.example", proto: "http" }]);
    expect(await ask("local5432")).toBe("secure");
  });

  // covers ServiceEntry ports[].protocol, resolution
  it("passes TLS on by its server name, and refuses names that nobody has", async () => {
    const passed = await get("raw.example.com", { port: ports["local443"]! });
    expect([passed.status, passed.subject]).toEqual([200, "backend"]);
    await expect(get("nobody.example.com", { port: ports["local443"]! })).rejects.toThrow();
    await expect
      .poll(() => count("sidecarAdmin", "istio_tcp_connections_closed_total", { response_flags: "NR" }))
      .toBe(1);
  });

  // covers Sidecar outboundTrafficPolicy.mode
  // covers ServiceEntry exportTo[]
  it("lets nothing out that no service has, or that is not exported to it", async () => {
    for (const host of ["unknown.example", "private.example"]) {
      const { statusCode, body } = await request(`http://${at("outbound")}/`, { headers: { host } });
      await body.dump();
      expect([host, statusCode]).toEqual([host, 502]);
    }
  });
});

function resources(): string {
  const tls = `serverCertificate: ${file("edge.pem")}, privateKey: ${file("edge.key")}`;
  return `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: edge, namespace: default }
spec:
  selector: { app: edge }
  servers:
    - { port: { number: 80, name: http, protocol: HTTP }, hosts: [shop.example.com], tls: { httpsRedirect: true } }
    - { port: { number: 443, name: shop, protocol: HTTPS }, hosts: [shop.example.com], tls: { mode: SIMPLE, ${tls} } }
    - { port: { number: 443, name: bank, protocol: HTTPS }, hosts: [bank.example.com], tls: { mode: MUTUAL, ${tls}, caCertificates: ${file("ca.pem")} } }
    - { port: { number: 443, name: raw, protocol: TLS }, hosts: [raw.example.com], tls: { mode: PASSTHROUGH } }
    - { port: { number: 3306, name: mysql, protocol: MYSQL }, hosts: ["*"] }
    - { port: { number: 5432, name: pg, protocol: TLS }, hosts: [pg.example.com], tls: { mode: SIMPLE, ${tls} } }
---
${service("ui.default.svc.cluster.local", { http: [80, "HTTP"] }, ["ui"])}
---
${service("raw.example.com", { tls: [443, "TLS"], local: [ports["local443"]!, "TLS"] }, ["raw"])}
---
${service("db.default.svc.cluster.local", { mysql: [3306, "MYSQL"], local: [ports["local3306"]!, "TCP"] }, ["v1", "v2"])}
---
${service("bank.outside.example", { http: [80, "HTTP"] }, ["raw"])}
---
${service("db.outside.example", { pg: [ports["local5432"]!, "TCP"] }, ["securedb"])}
---
${service("private.example", { http: [80, "HTTP"] }, ["ui"], "other")}
---
${rule("db.default.svc.cluster.local", "subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }]")}
---
${rule("bank.outside.example", `trafficPolicy: { tls: { mode: SIMPLE, caCertificates: ${file("ca.pem")} } }`)}
---
${rule("db.outside.example", `trafficPolicy: { tls: { mode: SIMPLE, caCertificates: ${file("ca.pem")} } }`)}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: web, namespace: default }
spec:
  hosts: [shop.example.com, bank.example.com, raw.example.com]
  gateways: [edge]
  http: [{ route: [{ destination: { host: ui } }] }]
  tls: [{ match: [{ sniHosts: [raw.example.com], port: 443, gateways: [edge] }], route: [{ destination: { host: raw.example.com } }] }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: db, namespace: default }
spec:
  hosts: [db, pg.example.com]
  gateways: [edge, mesh]
  tcp:
    - match: [{ port: 3306, gateways: [edge] }]
      route:
        - { destination: { host: db, subset: v1, port: { number: 3306 } }, weight: 80 }
        - { destination: { host: db, subset: v2 }, weight: 20 }
    - { match: [{ port: 3306, sourceLabels: { app: other } }], route: [{ destination: { host: db, subset: v1 } }] }
    - { match: [{ port: ${ports["local3306"]}, sourceLabels: { app: shop }, sourceNamespace: default }], route: [{ destination: { host: db, subset: v2, port: { number: 3306 } } }] }
    - { match: [{ port: 5432 }], route: [{ destination: { host: db, subset: v1, port: { number: 3306 } } }] }
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: shop, namespace: default }
spec:
  workloadSelector: { labels: { app: shop } }
  egress:
    - { port: { number: ${ports["local3306"]}, protocol: TCP }, bind: 127.0.0.1, captureMode: NONE, hosts: ["./db.default.svc.cluster.local"] }
    - { port: { number: ${ports["local5432"]}, protocol: TCP }, hosts: ["./db.outside.example"] }
    - { port: { number: ${ports["local443"]}, protocol: TLS }, hosts: ["./raw.example.com"] }
    - { hosts: ["*/*"] }
  outboundTrafficPolicy: { mode: REGISTRY_ONLY }
`;
}

/** One endpoint per name, behind all ports, labelled with its name as version. */
function service(
  host: string,
  named: Readonly<Record<string, readonly [number: number, protocol: string]>>,
  endpoints: readonly string[],
  exportTo = "*",
): string {
  const portList = Object.entries(named).map(
    ([name, [number, protocol]]) => `{ number: ${number}, name: ${name}, protocol: ${protocol} }`,
  );
  const list = endpoints.map((name) => {
    const behind = Object.keys(named).map((port) => `${port}: ${ports[name]}`);
    return `{ address: 127.0.0.1, ports: { ${behind.join(", ")} }, labels: { version: ${name} } }`;
  });
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${host.replaceAll(".", "-")}, namespace: ${exportTo === "*" ? "default" : "other"} }
spec:
  hosts: [${host}]
  resolution: STATIC
  exportTo: ["${exportTo === "*" ? "*" : "."}"]
  ports: [${portList.join(", ")}]
  endpoints: [${list.join(", ")}]`;
}

function rule(host: string, spec: string): string {
  return `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: ${host.replaceAll(".", "-")}, namespace: default }
spec: { host: ${host}, ${spec} }`;
}

async function start(
  verb: string,
  args: readonly string[],
  addresses: Readonly<Record<string, string>>,
  awaited: string,
): Promise<void> {
  const given = Object.entries(addresses).flatMap(([name, flag]) => [flag, at(name)]);
  const child = startChild(process.execPath, ["cli/main.ts", verb, ...args, ...given]);
  children.push(child);
  await untilListening(ports[awaited]!, child);
}

function at(name: string): string {
  return `127.0.0.1:${ports[name]}`;
}

async function listen(name: string, server: Server): Promise<void> {
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  ports[name] = (server.address() as AddressInfo).port;
}

/** Speaks first, as databases do. */
function greet(socket: Socket, name: string): void {
  socket.on("error", () => {});
  socket.write(`${name}\n`);
  socket.resume().on("end", () => socket.end());
}

async function answerOf(socket: Socket): Promise<string> {
  let text = "";
  socket.on("error", () => {});
  for await (const chunk of socket) {
    text += String(chunk);
    if (text.endsWith("\n")) break;
  }
  socket.destroy();
  return text.trim();
}

function ask(port: string): Promise<string> {
  return answerOf(connect(ports[port]!, "127.0.0.1"));
}

function count(admin: string, name: string, labels: Readonly<Record<string, string>>): Promise<number> {
  return metricSum(`http://${at(admin)}/stats/prometheus`, name, labels);
}

interface Answer {
  readonly status: number;
  readonly text: string;
  /** Common name of the server's certificate. */
  readonly subject: string;
}

async function get(
  host: string,
  { agent, port = ports["edge443"]!, ...own }: { agent?: Agent; port?: number; cert?: string; key?: string },
): Promise<Answer> {
  const used = agent ?? new Agent({ servername: host, ca: read("ca.pem"), ...own });
  const sent = secureRequest({ host: "127.0.0.1", port, path: "/", headers: { host }, agent: used });
  sent.end();
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += chunk as string;
  const subject = String((sent.socket as TLSSocket).getPeerCertificate()?.subject?.CN ?? "");
  if (agent === undefined) used.destroy();
  return { status: response.statusCode!, text, subject };
}
