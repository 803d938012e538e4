import { request } from "undici";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ProxyApp } from "../../proxy/app.ts";
import type { EchoServer } from "../support/echo-server.ts";
import { startEcho } from "../support/echo-server.ts";
import { metricSum } from "../support/metrics.ts";
import type { SecureMesh } from "../support/secure-mesh.ts";
import { startSecureMesh } from "../support/secure-mesh.ts";

let mesh: SecureMesh;
let app: EchoServer;
let server: ProxyApp;
let client: ProxyApp;

beforeEach(async () => {
  mesh = await startSecureMesh();
  app = await startEcho("review");
  server = await mesh.sidecar("review-v1", "review", app.port);
  client = await mesh.sidecar("product-v1", "product", 1);
  await mesh.apply(service(server.port("virtualInbound")!, "istio"));
});
afterEach(async () => {
  await mesh.stop();
  await app.stop();
});

describe("automatic mutual TLS", () => {
  it("protects what goes from sidecar to sidecar and says on both sides who it was", async () => {
    expect(await call()).toBe(200);
    expect(await handshakes(server, "server")).toEqual({ full: 1, resumed: 0, failed: 0 });
    const product = "spiffe://cluster.local/ns/shop/sa/product";
    const review = "spiffe://cluster.local/ns/shop/sa/review";
    const labels = { source_principal: product, destination_principal: review };
    const inbound = { reporter: "destination", connection_security_policy: "mutual_tls", ...labels };
    expect(await metricSum(admin(server), "istio_requests_total", inbound)).toBe(1);
    expect(await metricSum(admin(client), "istio_requests_total", { reporter: "source", ...labels })).toBe(1);
  });

  it("leaves alone who has no sidecar", async () => {
    await mesh.apply(service(app.port, undefined));
    expect(await call()).toBe(200);
    expect(await handshakes(client, "client")).toEqual({ full: 0, resumed: 0, failed: 0 });
  });

  it("resumes sessions with tickets where a connection went before", async () => {
    await mesh.apply(rule("connectionPool: { http: { maxRequestsPerConnection: 1 } }"));
    for (let i = 0; i < 6; i++) expect(await call()).toBe(200);
    const { full, resumed } = await handshakes(client, "client");
    expect(full + resumed).toBe(6);
    expect(resumed).toBeGreaterThanOrEqual(4);
  });

  it("refuses a server that is not the expected service account, and says so", async () => {
    await mesh.apply(service(server.port("virtualInbound")!, "istio", "rating"));
    expect(await call()).toBe(503);
    expect((await handshakes(client, "client")).failed).toBeGreaterThan(0);
    expect(app.requests).toBe(0);
  });

  // covers DestinationRule trafficPolicy.tls.mode, trafficPolicy.tls.subjectAltNames[]
  it("follows a DestinationRule: DISABLE, ISTIO_MUTUAL, and the names that it asks for", async () => {
    await mesh.apply(rule("tls: { mode: DISABLE }"));
    expect(await call()).toBe(200);
    expect((await handshakes(server, "server")).full).toBe(0);
    await mesh.apply(rule("tls: { mode: ISTIO_MUTUAL }"));
    expect(await call()).toBe(200);
    expect((await handshakes(server, "server")).full).toBe(1);
    await mesh.apply(
      rule('tls: { mode: ISTIO_MUTUAL, subjectAltNames: ["spiffe://cluster.local/ns/shop/sa/nobody"] }'),
    );
    expect(await call()).toBe(503);
  });

  it("shows the chain on /certs and the key nowhere", async () => {
    const shown = await (await request(admin(server).replace("/stats/prometheus", "/certs"))).body.text();
    const { chain, roots } = JSON.parse(shown) as {
      chain: { names: string; secondsLeft: number }[];
      roots: unknown[];
    };
    expect(chain.map(({ names }) => names)).toEqual(["URI:spiffe://cluster.local/ns/shop/sa/review", ""]);
    expect(chain[0]!.secondsLeft).toBeGreaterThan(80_000);
    expect(roots).toHaveLength(1);
    const dump = await (
      await request(admin(server).replace("/stats/prometheus", "/config_dump"))
    ).body.text();
    expect(shown + dump).not.toMatch(/PRIVATE KEY|privateKey/);
    const proxies = await fetch(`http://127.0.0.1:${mesh.controlPlane.http.port}/proxies`);
    expect(await proxies.text()).toContain('"principal":"cluster.local/ns/shop/sa/review"');
  });
});

describe("PeerAuthentication", () => {
  // covers PeerAuthentication mtls.mode, selector.matchLabels{}, portLevelMtls{}.mode
  it("case 43: lets plain callers in while PERMISSIVE and keeps them out while STRICT", async () => {
    expect(await callPlainly()).toBe(200);
    await mesh.apply(peerAuthentication("istio-system", "default", "mtls: { mode: STRICT }"));
    expect(await callPlainly()).toBe("closed");
    expect(await call()).toBe(200);
    await mesh.apply(peerAuthentication("shop", "default", "mtls: { mode: PERMISSIVE }"));
    expect(await callPlainly()).toBe(200);
    await mesh.apply(
      peerAuthentication(
        "shop",
        "review",
        "selector: { matchLabels: { app: review } }, mtls: { mode: STRICT }",
      ),
    );
    expect(await callPlainly()).toBe("closed");
    const port = "portLevelMtls: { 9080: { mode: PERMISSIVE } }";
    await mesh.apply(
      peerAuthentication(
        "shop",
        "review",
        `selector: { matchLabels: { app: review } }, mtls: { mode: STRICT }, ${port}`,
      ),
    );
    expect(await callPlainly()).toBe(200);
    expect(await call()).toBe(200);
  });

  it("makes callers speak plainly where it is turned off", async () => {
    await mesh.apply(peerAuthentication("shop", "default", "mtls: { mode: DISABLE }"));
    expect(await call()).toBe(200);
    expect((await handshakes(server, "server")).full).toBe(0);
  });
});

async function call(): Promise<number> {
  const answer = await request(`http://127.0.0.1:${client.port("virtualOutbound")}/`, {
    headers: { host: "review:9080" },
  });
  await answer.body.text();
  return answer.statusCode;
}

/** As somebody without a sidecar; "closed" when the connection ends without an answer. */
async function callPlainly(): Promise<number | "closed"> {
  try {
    const answer = await request(`http://127.0.0.1:${server.port("virtualInbound")}/`, {
      headers: { connection: "close" },
    });
    await answer.body.text();
    return answer.statusCode;
  } catch {
    return "closed";
  }
}

function service(port: number, tlsMode: string | undefined, serviceAccount = "review"): string {
  const label = tlsMode === undefined ? "" : `, security.istio.io/tlsMode: ${tlsMode}`;
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
  labels: { app: review${label} }
  serviceAccount: ${serviceAccount}
`;
}

function rule(policy: string): string {
  return `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: review, namespace: shop }
spec: { host: review, trafficPolicy: { ${policy} } }
`;
}

function peerAuthentication(namespace: string, name: string, spec: string): string {
  return `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: ${name}, namespace: ${namespace} }
spec: { ${spec} }
`;
}

function admin(proxy: ProxyApp): string {
  return `http://127.0.0.1:${proxy.admin!.port}/stats/prometheus`;
}

async function handshakes(proxy: ProxyApp, side: "client" | "server") {
  const of = (outcome: string) => metricSum(admin(proxy), "weft_mesh_handshakes_total", { side, outcome });
  return { full: await of("full"), resumed: await of("resumed"), failed: await of("failed") };
}
