import { afterEach, expect, it } from "vitest";
import type { EchoServer } from "../support/echo-server.ts";
import { startEcho } from "../support/echo-server.ts";
import { startLoad } from "../support/load.ts";
import { metricSum } from "../support/metrics.ts";
import type { SecureMesh } from "../support/secure-mesh.ts";
import { startSecureMesh } from "../support/secure-mesh.ts";

let mesh: SecureMesh;
let app: EchoServer;
afterEach(async () => {
  await mesh.stop();
  await app.stop();
});

const hour = 3_600_000;
const leafMs = 8_000;

/** A day in seconds: certificates live for eight, so each sidecar renews every four, and the root changes twice. */
it("rotates roots and certificates under load without one failed request", async () => {
  mesh = await startSecureMesh({ root: 1_000 * hour, intermediate: 500 * hour, leaf: leafMs });
  app = await startEcho("review");
  const server = await mesh.sidecar("review-v1", "review", app.port);
  const client = await mesh.sidecar("product-v1", "product", 1);
  await mesh.apply(service(server.port("virtualInbound")!));
  const authority = mesh.controlPlane.identity!.authority;
  const load = startLoad({
    url: `http://127.0.0.1:${client.port("virtualOutbound")}/`,
    headers: { host: "review:9080" },
    concurrency: 4,
    perSecond: 100,
  });
  const seen = new Set<string>(authority.roots);
  for (let round = 0; round < 2; round++) {
    await authority.rotateRoot();
    for (const root of authority.roots) seen.add(root);
    await expect.poll(() => authority.roots.length, { timeout: 60_000, interval: 200 }).toBe(1);
  }
  const report = await load.stop();
  expect(seen.size).toBe(3);
  expect(report.failures).toEqual([]);
  expect([...report.statuses]).toEqual([[200, report.requests]]);
  expect(report.requests).toBeGreaterThan(100);
  const page = `http://127.0.0.1:${client.admin!.port}/stats/prometheus`;
  const sides = { side: "client" };
  expect(await metricSum(page, "weft_mesh_handshakes_total", { ...sides, outcome: "failed" })).toBe(0);
  expect(await metricSum(page, "weft_certificate_requests_total", { outcome: "failed" })).toBe(0);
  expect(await metricSum(page, "weft_certificate_requests_total", { outcome: "renewed" })).toBeGreaterThan(5);
}, 120_000);

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
---
# Connections must be new ones, or certificates would not matter to them.
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: review, namespace: shop }
spec: { host: review, trafficPolicy: { connectionPool: { http: { maxRequestsPerConnection: 10 } } } }
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
`;
}
