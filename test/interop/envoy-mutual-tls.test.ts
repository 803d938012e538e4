import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { request } from "undici";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../common/base/clock.ts";
import { systemRandom } from "../../common/base/random.ts";
import { createIdentity } from "../../proxy/identity/create-identity.ts";
import type { Credentials } from "../../proxy/net/identity-source.ts";
import type { EchoServer } from "../support/echo-server.ts";
import { startEcho } from "../support/echo-server.ts";
import type { RunningEnvoy } from "../support/envoy.ts";
import { envoyBinary, startEnvoy } from "../support/envoy.ts";
import { metricSum } from "../support/metrics.ts";
import type { SecureMesh } from "../support/secure-mesh.ts";
import { freePort, startSecureMesh } from "../support/secure-mesh.ts";

/** A real Envoy as a member of our mesh: with an SVID of our authority it calls our sidecars and is called by them. */

const binary = await envoyBinary((reason) => console.warn(reason));

let mesh: SecureMesh;
let app: EchoServer;
let envoy: RunningEnvoy;
afterEach(async () => {
  await envoy?.stop();
  await mesh.stop();
  await app.stop();
});

describe.skipIf(!binary)("a real Envoy with an SVID of ours", () => {
  it("is let in by a sidecar and lets our sidecar in, each knowing the other by its SPIFFE ID", async () => {
    mesh = await startSecureMesh();
    app = await startEcho("review");
    const server = await mesh.sidecar("review-v1", "review", app.port);
    const client = await mesh.sidecar("product-v1", "product", 1);
    const folder = mkdtempSync(join(mesh.folder, "envoy-"));
    const [outbound, inbound] = [await freePort(), await freePort()];
    const secrets = writeSecrets(folder, await certify("envoy"));
    const bootstrap = bootstrapOf({ outbound, inbound, upstream: server.port("virtualInbound")!, secrets });
    envoy = await startEnvoy(binary!, bootstrap, folder);
    await mesh.apply(`${strict}---\n${serviceAt(inbound)}`);

    const toWeft = await request(`http://127.0.0.1:${outbound}/`);
    expect([toWeft.statusCode, toWeft.headers["x-served-by"]]).toEqual([200, "review"]);
    await toWeft.body.text();
    const page = `http://127.0.0.1:${server.admin!.port}/stats/prometheus`;
    const labels = {
      connection_security_policy: "mutual_tls",
      source_principal: "spiffe://cluster.local/ns/shop/sa/envoy",
    };
    expect(await metricSum(page, "istio_requests_total", labels)).toBe(1);

    const toEnvoy = await request(`http://127.0.0.1:${client.port("virtualOutbound")}/`, {
      headers: { host: "envoy:9080" },
    });
    expect([toEnvoy.statusCode, await toEnvoy.body.text()]).toEqual([200, "from envoy"]);
    const stats = await envoy.admin("/stats?filter=ssl");
    expect(stats).toMatch(/listener\.[^\n]*ssl\.handshake: 1/);
    expect(stats).toMatch(/ssl\.versions\.TLSv1\.3: 1/);
    expect(stats).toMatch(/ssl\.fail_verify_san: 0/);
  }, 90_000);
});

const strict = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }
`;

function serviceAt(port: number): string {
  return `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: envoy, namespace: shop }
spec:
  hosts: [envoy.shop.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 9080, name: http, protocol: HTTP }]
  endpoints:
    - address: 127.0.0.1
      ports: { http: ${port} }
      labels: { security.istio.io/tlsMode: istio }
      serviceAccount: envoy
`;
}

/** As an agent beside Envoy would get it. */
async function certify(serviceAccount: string): Promise<Credentials> {
  const { token, rootCert } = mesh.credentials(serviceAccount);
  const { keeper } = createIdentity({
    node: { namespace: "shop", serviceAccount },
    controlPlane: mesh.controlPlane.secureXds!,
    trust: { tokenFile: token, rootsFile: rootCert },
    clock: systemClock,
    random: systemRandom,
    events: {},
  });
  const done = new Promise<void>((resolve) => keeper.subscribe(resolve));
  await keeper.start();
  await done;
  await keeper.stop();
  return keeper.current!;
}

function writeSecrets(folder: string, { chain, privateKey, roots }: Credentials): readonly object[] {
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return { filename: join(folder, name) };
  };
  return [
    {
      name: "default",
      tls_certificate: {
        certificate_chain: file("chain.pem", chain),
        private_key: file("key.pem", privateKey),
      },
    },
    { name: "ROOTCA", validation_context: { trusted_ca: file("roots.pem", roots) } },
  ];
}

interface Ports {
  readonly outbound: number;
  readonly inbound: number;
  /** The sidecar's. */
  readonly upstream: number;
  readonly secrets: readonly object[];
}

/** The TLS contexts are those that our control plane sends (common/xds/mesh-tls.ts). */
function bootstrapOf({ outbound, inbound, upstream, secrets }: Ports): object {
  const common = (match: object, alpn: readonly string[]) => ({
    tls_params: { tls_minimum_protocol_version: "TLSv1_3", tls_maximum_protocol_version: "TLSv1_3" },
    tls_certificate_sds_secret_configs: [{ name: "default" }],
    combined_validation_context: {
      default_validation_context: { match_typed_subject_alt_names: [{ san_type: "URI", matcher: match }] },
      validation_context_sds_secret_config: { name: "ROOTCA" },
    },
    alpn_protocols: alpn,
  });
  const socket = (direction: "Upstream" | "Downstream", context: object) => ({
    name: "envoy.transport_sockets.tls",
    typed_config: {
      "@type": `type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.${direction}TlsContext`,
      ...context,
    },
  });
  const at = (port: number) => ({ socket_address: { address: "127.0.0.1", port_value: port } });
  const router = { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" };
  const http = (action: object) => ({
    name: "http",
    typed_config: {
      "@type":
        "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
      stat_prefix: "http",
      route_config: {
        virtual_hosts: [{ name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, ...action }] }],
      },
      http_filters: [{ name: "router", typed_config: router }],
    },
  });
  const reviewId = { exact: "spiffe://cluster.local/ns/shop/sa/review" };
  const answer = { direct_response: { status: 200, body: { inline_string: "from envoy" } } };
  return {
    static_resources: {
      secrets,
      listeners: [
        {
          name: "out",
          address: at(outbound),
          filter_chains: [{ filters: [http({ route: { cluster: "review" } })] }],
        },
        {
          name: "in",
          address: at(inbound),
          filter_chains: [
            {
              filters: [http(answer)],
              transport_socket: socket("Downstream", {
                common_tls_context: common({ prefix: "spiffe://cluster.local/" }, ["http/1.1", "istio"]),
                require_client_certificate: true,
              }),
            },
          ],
        },
      ],
      clusters: [
        {
          name: "review",
          type: "STATIC",
          load_assignment: {
            cluster_name: "review",
            endpoints: [{ lb_endpoints: [{ endpoint: { address: at(upstream) } }] }],
          },
          transport_socket: socket("Upstream", {
            common_tls_context: common(reviewId, ["istio", "http/1.1"]),
            sni: "outbound_.9080_._.review.shop.svc.cluster.local",
          }),
        },
      ],
    },
  };
}
