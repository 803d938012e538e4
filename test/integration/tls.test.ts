import { once } from "node:events";
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage, RequestListener } from "node:http";
import type { AgentOptions, ServerOptions } from "node:https";
import { Agent, createServer as createHttps, request } from "node:https";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { request as plainRequest } from "undici";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startControlPlane } from "../../control-plane/app.ts";
import { readControlPlaneSettings } from "../../control-plane/config.ts";
import { createLog } from "../../control-plane/log.ts";
import type { ProxyApp } from "../../proxy/app.ts";
import { startProxy } from "../../proxy/app.ts";
import { certificatesIn } from "../support/certificates.ts";
import { startEcho } from "../support/echo-server.ts";
import { proxySettings } from "../support/proxy-resources.ts";

/** TLS from resources to sockets: a control plane, gateways and sidecars in this process, and clients that check certificates. */

const folder = mkdtempSync(join(tmpdir(), "weft-tls-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

const file = (name: string) => join(folder, name);
const { makeAuthority, makeCertificate } = certificatesIn(folder);

beforeAll(() => {
  makeAuthority("ca");
  makeAuthority("other-ca");
  makeCertificate("shop", "ca", "DNS:shop.example.com,DNS:bank.example.com");
  makeCertificate("backend", "ca", "DNS:raw.example.com,URI:spiffe://mesh/backend");
  makeCertificate("client", "ca", "DNS:client");
});

describe("a gateway", () => {
  // covers Gateway servers[].tls.mode, servers[].tls.httpsRedirect, servers[].tls.serverCertificate, servers[].tls.privateKey
  // covers Gateway servers[].tls.caCertificates
  // covers VirtualService tls[].match[].sniHosts[], tls[].route[].destination
  // covers ServiceEntry ports[].protocol
  it("ends TLS by server name, asks for client certificates, passes on what it does not end, and sends plain HTTP to https", async () => {
    const echo = await startEcho("ui");
    stops.push(() => echo.stop());
    const raw = await secureServer("backend", (_request, response) => response.end("raw".repeat(400_000)));
    const [http, https] = [await freePort(), await freePort()];
    const gateway = await start(
      { kind: "gateway", labels: "app=edge", bind: [`80=127.0.0.1:${http}`, `443=127.0.0.1:${https}`] },
      gatewayConfig(echo.port, raw),
    );
    await gateway.whenReady();

    const shop = new Agent({ ca: ca(), keepAlive: true, maxSockets: 1, servername: "shop.example.com" });
    stops.push(async () => shop.destroy());
    await expect.poll(async () => (await get(https, "shop.example.com", { agent: shop })).status).toBe(200);
    const first = await get(https, "shop.example.com", { agent: shop });
    expect(JSON.parse(first.text).headers["x-forwarded-proto"]).toBe("https");

    // The bank asks for client certificates, so nobody gets there over the shop's connection, though the certificate is good for both.
    const misdirected = await get(https, "bank.example.com", { agent: shop });
    expect([misdirected.status, misdirected.text]).toEqual([
      421,
      "misdirected_request: server_name_mismatch\n",
    ]);
    expect((await get(https, "nobody.example.com", { agent: shop })).status).toBe(404);
    await expect(get(https, "bank.example.com", { tls: { ca: ca() } })).rejects.toThrow();
    const me = { ca: ca(), cert: read("client.pem"), key: read("client.key") };
    expect((await get(https, "bank.example.com", { tls: me })).status).toBe(200);
    await expect(get(https, "stranger.example.com", { tls: { ca: ca() } })).rejects.toThrow();

    const passed = await get(https, "raw.example.com", { tls: { ca: ca() } });
    expect([passed.status, passed.text.length, passed.subject]).toEqual([200, 1_200_000, "backend"]);

    const redirected = await plainRequest(`http://127.0.0.1:${http}/a?b=c`, {
      headers: { host: "shop.example.com" },
    });
    await redirected.body.dump();
    expect([redirected.statusCode, redirected.headers["location"]]).toEqual([
      301,
      "https://shop.example.com/a?b=c",
    ]);
  });

  it("takes a changed certificate without breaking connections, and keeps the last good one", async () => {
    const echo = await startEcho("ui");
    stops.push(() => echo.stop());
    makeCertificate("first", "ca", "DNS:shop.example.com");
    for (const end of ["pem", "key"]) writeFileSync(file(`live.${end}`), read(`first.${end}`));
    const [http, https] = [await freePort(), await freePort()];
    const gateway = await start(
      { kind: "gateway", labels: "app=edge", bind: [`80=127.0.0.1:${http}`, `443=127.0.0.1:${https}`] },
      gatewayConfig(echo.port, 1).replaceAll(file("shop."), file("live.")),
    );
    await gateway.whenReady();
    const agent = new Agent({ ca: ca(), keepAlive: true, maxSockets: 1, servername: "shop.example.com" });
    stops.push(async () => agent.destroy());
    await expect.poll(async () => (await get(https, "shop.example.com", { agent })).subject).toBe("first");
    const before = await get(https, "shop.example.com", { agent });

    writeFileSync(file("live.pem"), "not a certificate");
    makeCertificate("second", "ca", "DNS:shop.example.com");
    expect((await get(https, "shop.example.com", { tls: { ca: ca() } })).subject).toBe("first");
    writeFileSync(file("live.key.new"), read("second.key"));
    writeFileSync(file("live.pem.new"), read("second.pem"));
    renameSync(file("live.key.new"), file("live.key"));
    renameSync(file("live.pem.new"), file("live.pem"));
    await expect
      .poll(async () => (await get(https, "shop.example.com", { tls: { ca: ca() } })).subject)
      .toBe("second");
    const after = await get(https, "shop.example.com", { agent });
    expect([after.status, after.subject, after.localPort]).toEqual([200, "first", before.localPort]);
  });
});

describe("a sidecar", () => {
  // covers DestinationRule trafficPolicy.portLevelSettings[].port.number, trafficPolicy.portLevelSettings[].tls
  // covers DestinationRule trafficPolicy.tls.mode, trafficPolicy.tls.sni, trafficPolicy.tls.caCertificates
  // covers DestinationRule trafficPolicy.tls.clientCertificate, trafficPolicy.tls.privateKey
  // covers DestinationRule trafficPolicy.tls.subjectAltNames[], trafficPolicy.tls.insecureSkipVerify
  it("speaks TLS to a service outside, verifies who answers, and answers 502 for hosts that nobody serves", async () => {
    const asked: (string | false | null)[] = [];
    const port = await secureServer(
      "backend",
      (request, response) => {
        const socket = request.socket as TLSSocket;
        asked.push((socket as TLSSocket & { servername: string | false | null }).servername);
        response.end(
          `${socket.authorized ? socket.getPeerCertificate().subject.CN : "nobody"} ${request.headers.host}`,
        );
      },
      { requestCert: true, rejectUnauthorized: false, ca: ca() },
    );
    const outbound = await freePort();
    const rule = (name: string, tls: string) => externalService(name, port, tls);
    const sidecar = await start(
      { kind: "sidecar", outbound: `127.0.0.1:${outbound}` },
      [
        rule("good", `{ mode: SIMPLE, sni: raw.example.com, caCertificates: ${file("ca.pem")} }`),
        rule(
          "mutual",
          `{ mode: MUTUAL, sni: raw.example.com, caCertificates: ${file("ca.pem")}, clientCertificate: ${file("client.pem")}, privateKey: ${file("client.key")} }`,
        ),
        rule(
          "identity",
          `{ mode: SIMPLE, caCertificates: ${file("ca.pem")}, subjectAltNames: ["spiffe://mesh/backend"] }`,
        ),
        rule(
          "wrong-identity",
          `{ mode: SIMPLE, caCertificates: ${file("ca.pem")}, subjectAltNames: ["spiffe://mesh/other"] }`,
        ),
        rule("wrong-name", `{ mode: SIMPLE, caCertificates: ${file("ca.pem")} }`),
        rule(
          "wrong-authority",
          `{ mode: SIMPLE, sni: raw.example.com, caCertificates: ${file("other-ca.pem")} }`,
        ),
        rule("system-roots", "{ mode: SIMPLE, sni: raw.example.com }"),
        rule("careless", "{ mode: SIMPLE, insecureSkipVerify: true }"),
        rule("no-file", `{ mode: SIMPLE, caCertificates: ${file("missing.pem")} }`),
      ].join("---\n"),
      { outboundTrafficPolicy: "REGISTRY_ONLY" },
    );
    await sidecar.whenReady();
    const ask = async (name: string) => {
      const { statusCode, body } = await plainRequest(`http://127.0.0.1:${outbound}/`, {
        headers: { host: `${name}.example.org` },
      });
      return [statusCode, (await body.text()).trim()];
    };
    await expect.poll(() => ask("good")).toEqual([200, "nobody good.example.org"]);
    expect(await ask("mutual")).toEqual([200, "client mutual.example.org"]);
    expect(await ask("identity")).toEqual([200, "nobody identity.example.org"]);
    expect(await ask("careless")).toEqual([200, "nobody careless.example.org"]);
    expect(asked).toEqual([
      "raw.example.com",
      "raw.example.com",
      "identity.example.org",
      "careless.example.org",
    ]);
    for (const name of ["wrong-identity", "wrong-name", "wrong-authority", "system-roots"])
      expect(await ask(name)).toEqual([503, expect.stringContaining("tls_certificate_refused")]);
    expect(await ask("no-file")).toEqual([503, expect.stringContaining("tls_files")]);
    expect(await ask("unknown")).toEqual([502, ""]);
  });
});

function gatewayConfig(ui: number, raw: number): string {
  const tls = `serverCertificate: ${file("shop.pem")}, privateKey: ${file("shop.key")}`;
  return `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: edge }
spec:
  selector: { app: edge }
  servers:
    - { port: { number: 80, name: http, protocol: HTTP }, hosts: [shop.example.com], tls: { httpsRedirect: true } }
    - { port: { number: 443, name: shop, protocol: HTTPS }, hosts: [shop.example.com], tls: { mode: SIMPLE, ${tls} } }
    - { port: { number: 443, name: bank, protocol: HTTPS }, hosts: [bank.example.com], tls: { mode: MUTUAL, ${tls}, caCertificates: ${file("ca.pem")} } }
    - { port: { number: 443, name: raw, protocol: TLS }, hosts: [raw.example.com], tls: { mode: PASSTHROUGH } }
---
${staticService("ui", ui, "HTTP")}
---
${staticService("raw", raw, "TLS")}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: all }
spec:
  hosts: [shop.example.com, bank.example.com, raw.example.com]
  gateways: [edge]
  http: [{ route: [{ destination: { host: ui } }] }]
  tls: [{ match: [{ sniHosts: [raw.example.com] }], route: [{ destination: { host: raw } }] }]
`;
}

function staticService(name: string, port: number, protocol: string): string {
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name} }
spec:
  hosts: [${name}.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 80, name: port, protocol: ${protocol}, targetPort: ${port} }]
  endpoints: [{ address: 127.0.0.1 }]`;
}

/** Apps speak HTTP to port 80 of a name outside; a rule sends that to 443, where TLS begins. */
function externalService(name: string, port: number, tls: string): string {
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name} }
spec:
  hosts: [${name}.example.org]
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: HTTP }, { number: 443, name: https, protocol: HTTPS, targetPort: ${port} }]
  endpoints: [{ address: 127.0.0.1 }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${name} }
spec:
  hosts: [${name}.example.org]
  http: [{ match: [{ port: 80 }], route: [{ destination: { host: ${name}.example.org, port: { number: 443 } } }] }]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: ${name} }
spec:
  host: ${name}.example.org
  trafficPolicy: { portLevelSettings: [{ port: { number: 443 }, tls: ${tls} }] }
`;
}

async function start(
  options: Parameters<typeof proxySettings>[0],
  config: string,
  controlPlaneOptions: { readonly outboundTrafficPolicy?: string } = {},
): Promise<ProxyApp> {
  const root = mkdtempSync(join(folder, "run-"));
  writeFileSync(join(root, "config.yaml"), config);
  const settings = readControlPlaneSettings({
    config: [join(root, "config.yaml")],
    xds: "127.0.0.1:0",
    http: "127.0.0.1:0",
    state: join(root, "state"),
    logLevel: "error",
    ...controlPlaneOptions,
  });
  if (!settings.ok) throw new Error(JSON.stringify(settings.problems));
  const controlPlane = await startControlPlane(settings.value, {
    log: createLog({ level: "error", format: "text" }),
  });
  stops.push(() => controlPlane.stop());
  const proxy = await startProxy(
    proxySettings(
      { ...options, controlPlane: `127.0.0.1:${controlPlane.xds.port}` },
      { certificateRefreshMs: 50 },
    ),
  );
  stops.push(() => proxy.stop());
  return proxy;
}

interface Answer {
  readonly status: number;
  readonly text: string;
  /** Common name of the certificate that the server showed. */
  readonly subject: string;
  readonly localPort: number | undefined;
}

async function get(
  port: number,
  host: string,
  { agent, tls = {} }: { agent?: Agent; tls?: AgentOptions },
): Promise<Answer> {
  const own = agent ?? new Agent({ servername: host, ...tls });
  const sent = request({ host: "127.0.0.1", port, path: "/", headers: { host }, agent: own });
  sent.end();
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += chunk as string;
  const socket = response.socket as TLSSocket;
  const { localPort } = sent.socket!;
  const subject = String((socket ?? sent.socket).getPeerCertificate()?.subject?.CN ?? "");
  if (agent === undefined) own.destroy();
  return { status: response.statusCode!, text, subject, localPort };
}

async function secureServer(
  name: string,
  answer: RequestListener,
  options: ServerOptions = {},
): Promise<number> {
  const server = createHttps({ cert: read(`${name}.pem`), key: read(`${name}.key`), ...options }, answer);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  stops.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function read(name: string): string {
  return readFileSync(file(name), "utf8");
}

function ca(): string {
  return read("ca.pem");
}
