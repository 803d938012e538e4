import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer as createHttps } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { request } from "undici";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import type { ProxyApp } from "../../proxy/app.ts";
import { certificatesIn } from "../support/certificates.ts";
import type { EchoServer } from "../support/echo-server.ts";
import { startEcho } from "../support/echo-server.ts";
import { onlyPort, YamlMesh } from "../support/yaml-mesh.ts";

/** How a ServiceEntry's endpoints are found and what they are told, and which of their answers eject them: from YAML to sockets. */

const folder = mkdtempSync(join(tmpdir(), "weft-resolution-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const stops: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

describe("a ServiceEntry", () => {
  // covers ServiceEntry location
  it.each([
    ["MESH_INTERNAL", true],
    ["MESH_EXTERNAL", false],
  ])("tells workloads of the mesh who calls, and nobody else (%s)", async (location, isTold) => {
    const app = await echo("a");
    const { get } = await mesh(entry(app.port, `location: ${location}`));
    expect((await get()).status).toBe(200);
    expect("x-weft-peer" in app.last!.headers).toBe(isTold);
  });

  // covers ServiceEntry resolution
  it.each(["DNS", "DNS_ROUND_ROBIN"])("resolves names (%s)", async (resolution) => {
    const app = await echo("a");
    const { get, proxy } = await mesh(
      entry(app.port, `resolution: ${resolution}`).replace("address: 127.0.0.1", "address: localhost"),
    );
    expect(await get()).toEqual({ status: 200, by: "a" });
    const [cluster] = [...proxy.clusters].filter(({ name }) => name.includes("svc.example.com"));
    const addresses = Array.from(cluster!.endpoints, ({ endpoint }) => endpoint.address);
    if (resolution === "DNS") expect(addresses).toContain("127.0.0.1");
    else expect(addresses).toEqual(["localhost"]);
  });

  // covers ServiceEntry resolution, hosts[]
  it("reaches what a request asks for with DYNAMIC_DNS", async () => {
    const app = await echo("a");
    const { proxy } = await mesh(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: any }
spec:
  hosts: ["*.localhost"]
  resolution: DYNAMIC_DNS
  ports: [{ number: ${app.port}, name: http }]
`);
    const url = `http://127.0.0.1:${onlyPort(proxy)}/`;
    const { statusCode, body } = await request(url, { headers: { host: `app.localhost:${app.port}` } });
    await body.dump();
    // Whether the machine's resolver knows names below localhost is its own affair; that it was asked is ours.
    expect([200, 503]).toContain(statusCode);
    expect(app.requests).toBe(statusCode === 200 ? 1 : 0);
    const clusters = [...proxy.clusters].map(({ name, config }) => `${name} ${config?.discovery.kind}`);
    expect(clusters).toContain(`outbound|${app.port}||*.localhost original-dst`);
  });

  // covers ServiceEntry subjectAltNames[]
  it.each([
    ["backend.internal", 200],
    ["spiffe://mesh/backend", 200],
    ["somebody.else", 503],
  ])("takes the certificate of one of its subjectAltNames only (%s)", async (name, status) => {
    const { makeAuthority, makeCertificate } = certificatesIn(folder);
    makeAuthority("ca");
    makeCertificate("backend", "ca", "DNS:backend.internal,URI:spiffe://mesh/backend");
    const key = readFileSync(join(folder, "backend.key"));
    const cert = readFileSync(join(folder, "backend.pem"));
    const server = createHttps({ key, cert }, (_request, response) => response.end());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    stops.push(() => {
      server.closeAllConnections();
      server.close();
    });
    const port = (server.address() as AddressInfo).port;
    const tls = `tls: { mode: SIMPLE, caCertificates: ${join(folder, "ca.pem")} }`;
    const { get } = await mesh(entry(port, `subjectAltNames: ["${name}"]`), rule(tls));
    expect((await get()).status).toBe(status);
  });
});

describe("outlier detection", () => {
  // covers DestinationRule trafficPolicy.outlierDetection.outlierDetectionHttpErrorCodes[]
  it("counts the statuses that are listed, and no others", async () => {
    let status = 500;
    const app = await echo("a", () => status);
    const { get, proxy } = await mesh(
      entry(app.port),
      rule(
        "outlierDetection: { consecutive5xxErrors: 2, baseEjectionTime: 1h, outlierDetectionHttpErrorCodes: [429] }",
      ),
    );
    for (let i = 0; i < 4; i++) await get();
    expect(isEjected(proxy)).toBe(false);
    status = 429;
    await get();
    await get();
    expect(isEjected(proxy)).toBe(true);
  });

  // covers DestinationRule trafficPolicy.outlierDetection.consecutiveErrors
  it("takes the deprecated consecutiveErrors for gateway errors alone", async () => {
    let status = 500;
    const app = await echo("a", () => status);
    const { get, proxy } = await mesh(
      entry(app.port),
      rule("outlierDetection: { consecutiveErrors: 2, baseEjectionTime: 1h }"),
    );
    for (let i = 0; i < 8; i++) await get();
    expect(isEjected(proxy)).toBe(false);
    status = 502;
    await get();
    await get();
    expect(isEjected(proxy)).toBe(true);
  });
});

async function mesh(...texts: readonly string[]) {
  const made = new YamlMesh();
  stops.push(() => made.stop());
  await made.apply(...texts);
  const proxy = await made.proxy();
  const get = async () => {
    const url = `http://127.0.0.1:${onlyPort(proxy)}/`;
    const { statusCode, headers, body } = await request(url, { headers: { host: "svc.example.com" } });
    await body.dump();
    return { status: statusCode, by: headers["x-served-by"] as string | undefined };
  };
  return { proxy, get };
}

function entry(port: number, more = ""): string {
  return `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: svc }
spec:
  hosts: [svc.example.com]
  ${more.includes("resolution") ? "" : "resolution: STATIC"}
  ports: [{ number: 80, name: http }]
  endpoints: [{ address: 127.0.0.1, ports: { http: ${port} }, labels: { app: svc } }]
  ${more}
`;
}

function rule(policy: string): string {
  return `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: svc }
spec: { host: svc.example.com, trafficPolicy: { ${policy} } }
`;
}

function isEjected(proxy: ProxyApp): boolean {
  return [...proxy.clusters].some(({ endpoints }) => [...endpoints].some(({ outlier }) => outlier.isEjected));
}

async function echo(name: string, status: () => number = () => 200): Promise<EchoServer> {
  const server = await startEcho(name, (_incoming, response) => {
    response.statusCode = status();
    response.end();
  });
  stops.push(() => server.stop());
  return server;
}
