import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { createServer as createHttp } from "node:http";
import { Agent, createServer as createHttps, request as secureRequest } from "node:https";
import type { AddressInfo, Server } from "node:net";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { request } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../../bench/support/children.ts";
import type { ControlPlane } from "../../control-plane/app.ts";
import { startControlPlane } from "../../control-plane/app.ts";
import { readControlPlaneSettings } from "../../control-plane/config.ts";
import { createLog } from "../../control-plane/log.ts";
import { startProxy } from "../../proxy/app.ts";
import { certificatesIn } from "../support/certificates.ts";
import { envoyBinary, startEnvoy } from "../support/envoy.ts";
import { proxySettings } from "../support/proxy-resources.ts";

/** The edge with a real Envoy on either side: as our gateway's client, and as the gateway that our control plane configures. */

const binary = await envoyBinary((reason) => console.warn(reason));
const folder = mkdtempSync(join(tmpdir(), "weft-envoy-edge-"));
const file = (name: string) => join(folder, name);
const read = (name: string) => readFileSync(file(name), "utf8");
const stops: (() => unknown)[] = [];
const ports: Record<string, number> = {};
let controlPlane: ControlPlane;

describe.skipIf(binary === undefined)("Envoy at the edge", () => {
  beforeAll(async () => {
    const { makeAuthority, makeCertificate } = certificatesIn(folder);
    makeAuthority("ca");
    makeCertificate("edge", "ca", "DNS:shop.example.com,DNS:bank.example.com");
    makeCertificate("backend", "ca", "DNS:raw.example.com");
    makeCertificate("client", "ca", "DNS:client");
    await listen(
      "ui",
      createHttp((_incoming, response) => response.end("ui")),
    );
    await listen(
      "raw",
      createHttps({ cert: read("backend.pem"), key: read("backend.key") }, (_i, r) => r.end("raw")),
    );
    await listen(
      "v1",
      createServer((socket) => void socket.end("v1")),
    );
    await listen(
      "v2",
      createServer((socket) => void socket.end("v2")),
    );
    for (const name of ["weft443", "weft3306", "envoy443", "envoy3306", "simple", "mutual", "bare"])
      ports[name] = await freePort();
    writeFileSync(file("mesh.yaml"), resources());
    const settings = readControlPlaneSettings({
      config: [file("mesh.yaml")],
      xds: "127.0.0.1:0",
      http: "127.0.0.1:0",
      state: file("state"),
      logLevel: "error",
    });
    if (!settings.ok) throw new Error(JSON.stringify(settings.problems));
    controlPlane = await startControlPlane(settings.value, {
      log: createLog({ level: "error", format: "text" }),
    });
    stops.push(() => controlPlane.stop());
  });

  afterAll(async () => {
    for (const stop of stops.reverse()) await stop();
    rmSync(folder, { recursive: true, force: true });
  });

  // covers Gateway servers[].tls.mode, servers[].tls.caCertificates
  it("is let in by our gateway as a client, with a certificate where one is asked for", async () => {
    const bind = [443, 3306].map((port) => `${port}=127.0.0.1:${ports[`weft${port}`]}`);
    const xds = `127.0.0.1:${controlPlane.xds.port}`;
    const gateway = await startProxy(
      proxySettings({ kind: "gateway", name: "edge", labels: "app=edge", bind, controlPlane: xds }),
    );
    stops.push(() => gateway.stop());
    await gateway.whenReady();
    const own = mkdtempSync(join(folder, "client-"));
    const envoy = await startEnvoy(binary!, clientBootstrap(), own);
    stops.push(() => envoy.stop());
    const ask = async (port: number, host: string) => {
      const { statusCode, body } = await request(`http://127.0.0.1:${port}/`, { headers: { host } });
      return [statusCode, await body.text()];
    };
    await expect.poll(() => ask(ports["simple"]!, "shop.example.com")).toEqual([200, "ui"]);
    expect(await ask(ports["mutual"]!, "bank.example.com")).toEqual([200, "ui"]);
    expect((await ask(ports["bare"]!, "bank.example.com"))[0]).toBe(503);
  });

  it("takes our gateway's listeners, and does with connections what we do", async () => {
    const own = mkdtempSync(join(folder, "gateway-"));
    const envoy = await startEnvoy(binary!, gatewayBootstrap(), own);
    stops.push(() => envoy.stop());
    const agent = { ca: read("ca.pem") };
    await expect
      .poll(() => get("shop.example.com", agent).catch(String), { timeout: 20_000 })
      .toMatchObject({
        status: 200,
        text: "ui",
        subject: "edge",
      });
    await expect(get("bank.example.com", agent)).rejects.toThrow();
    const known = { ...agent, cert: read("client.pem"), key: read("client.key") };
    expect(await get("bank.example.com", known)).toMatchObject({ status: 200, text: "ui" });
    expect(await get("raw.example.com", agent)).toMatchObject({ text: "raw", subject: "backend" });
    const answers = await Promise.all(Array.from({ length: 40 }, () => ask(ports["envoy3306"]!)));
    expect(new Set(answers)).toEqual(new Set(["v1", "v2"]));
    const listeners = await envoy.admin("/listeners?format=text");
    expect(listeners).toContain("0.0.0.0_443");
  });
});

function resources(): string {
  const tls = `serverCertificate: ${file("edge.pem")}, privateKey: ${file("edge.key")}`;
  const entry = (host: string, port: string, endpoints: string) => `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${host.split(".")[0]} }
spec: { hosts: [${host}], resolution: STATIC, ports: [${port}], endpoints: [${endpoints}] }
---
`;
  const endpoint = (name: string, port: string) =>
    `{ address: 127.0.0.1, ports: { ${port}: ${ports[name]} }, labels: { version: ${name} } }`;
  return `${entry("ui.default.svc.cluster.local", "{ number: 80, name: http, protocol: HTTP }", endpoint("ui", "http"))}
${entry("raw.example.com", "{ number: 443, name: tls, protocol: TLS }", endpoint("raw", "tls"))}
${entry("db.default.svc.cluster.local", "{ number: 3306, name: mysql, protocol: MYSQL }", `${endpoint("v1", "mysql")}, ${endpoint("v2", "mysql")}`)}
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: db }
spec:
  host: db
  trafficPolicy: { connectionPool: { tcp: { idleTimeout: 30s, maxConnectionDuration: 60s } } }
  subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: edge }
spec:
  selector: { app: edge }
  servers:
    - { port: { number: 443, name: shop, protocol: HTTPS }, hosts: [shop.example.com], tls: { mode: SIMPLE, ${tls}, minProtocolVersion: TLSV1_2, maxProtocolVersion: TLSV1_3 } }
    - { port: { number: 443, name: bank, protocol: HTTPS }, hosts: [bank.example.com], tls: { mode: MUTUAL, ${tls}, caCertificates: ${file("ca.pem")} } }
    - { port: { number: 443, name: raw, protocol: TLS }, hosts: [raw.example.com], tls: { mode: PASSTHROUGH } }
    - { port: { number: 3306, name: mysql, protocol: MYSQL }, hosts: ["*"] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: all }
spec:
  hosts: [shop.example.com, bank.example.com, raw.example.com, db.example.com]
  gateways: [edge]
  http: [{ route: [{ destination: { host: ui } }] }]
  tls: [{ match: [{ sniHosts: [raw.example.com] }], route: [{ destination: { host: raw.example.com } }] }]
  tcp:
    - { match: [{ port: 3306, destinationSubnets: [10.9.9.9] }], route: [{ destination: { host: ui } }] }
    - { match: [{ port: 3306 }], route: [{ destination: { host: db, subset: v1 }, weight: 1 }, { destination: { host: db, subset: v2 }, weight: 1 }] }
`;
}

/** Three listeners for plain HTTP whose clusters speak TLS to our gateway. */
function clientBootstrap(): object {
  const cluster = (name: string, sni: string, certificate: boolean) => ({
    name,
    type: "STATIC",
    load_assignment: assignment(name, ports["weft443"]!),
    transport_socket: {
      name: "envoy.transport_sockets.tls",
      typed_config: {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        sni,
        common_tls_context: {
          validation_context: {
            trusted_ca: { filename: file("ca.pem") },
            match_typed_subject_alt_names: [{ san_type: "DNS", matcher: { exact: sni } }],
          },
          ...(certificate && {
            tls_certificates: [
              {
                certificate_chain: { filename: file("client.pem") },
                private_key: { filename: file("client.key") },
              },
            ],
          }),
        },
      },
    },
  });
  const listener = (name: string) => ({
    name,
    address: { socket_address: { address: "127.0.0.1", port_value: ports[name] } },
    filter_chains: [
      {
        filters: [
          {
            name: "http",
            typed_config: {
              "@type":
                "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
              stat_prefix: name,
              route_config: {
                virtual_hosts: [
                  { name, domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster: name } }] },
                ],
              },
              http_filters: [
                {
                  name: "router",
                  typed_config: {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
                  },
                },
              ],
            },
          },
        ],
      },
    ],
  });
  return {
    static_resources: {
      listeners: [listener("simple"), listener("mutual"), listener("bare")],
      clusters: [
        cluster("simple", "shop.example.com", false),
        cluster("mutual", "bank.example.com", true),
        cluster("bare", "bank.example.com", false),
      ],
    },
  };
}

function gatewayBootstrap(): object {
  const servers = Object.fromEntries(
    [443, 3306].map((port) => [String(port), { host: "127.0.0.1", port: ports[`envoy${port}`] }]),
  );
  const ads = { ads: {}, resource_api_version: "V3" };
  return {
    node: {
      id: "router~127.0.0.1~envoy-edge.default~default.svc.cluster.local",
      cluster: "envoy-edge.default",
      metadata: {
        NAMESPACE: "default",
        WORKLOAD_NAME: "envoy-edge",
        LABELS: { app: "edge" },
        WEFT: { bindings: { servers } },
      },
    },
    dynamic_resources: {
      lds_config: ads,
      cds_config: ads,
      ads_config: {
        api_type: "DELTA_GRPC",
        transport_api_version: "V3",
        grpc_services: [{ envoy_grpc: { cluster_name: "xds" } }],
      },
    },
    static_resources: {
      clusters: [
        {
          name: "xds",
          type: "STATIC",
          load_assignment: assignment("xds", controlPlane.xds.port),
          typed_extension_protocol_options: {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
              "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
        },
      ],
    },
  };
}

function assignment(name: string, port: number): object {
  const address = { socket_address: { address: "127.0.0.1", port_value: port } };
  return { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] };
}

async function listen(name: string, server: Server): Promise<void> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  stops.push(() => server.close());
  ports[name] = (server.address() as AddressInfo).port;
}

async function ask(port: number): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  return text;
}

async function get(
  host: string,
  tls: { readonly ca: string; readonly cert?: string; readonly key?: string },
): Promise<{ status: number; text: string; subject: string }> {
  const agent = new Agent({ servername: host, ...tls });
  const sent = secureRequest({
    host: "127.0.0.1",
    port: ports["envoy443"]!,
    path: "/",
    headers: { host },
    agent,
  });
  sent.end();
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += chunk as string;
  const subject = String((sent.socket as TLSSocket).getPeerCertificate()?.subject?.CN ?? "");
  agent.destroy();
  return { status: response.statusCode!, text, subject };
}
