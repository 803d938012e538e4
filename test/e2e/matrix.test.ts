import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CapturedMesh, canCapture, until } from "../support/captured-mesh.ts";
import { certificatesIn } from "../support/certificates.ts";
import type { Pod } from "../support/pod-network.ts";

const protocols = ["HTTP/1.1", "h2c", "h2", "gRPC", "WebSocket", "TCP", "TLS"] as const;
type Protocol = (typeof protocols)[number];

/** What is said of the connections that carry a cell, by Istio's label. */
const protections = { plain: "none", mTLS: "mutual_tls" } as const;

// Explicit mode has tests of its own: http2, grpc, websocket, tcp, tls and mutual-tls in test/integration.
describe.runIf(canCapture)("every protocol, captured", () => {
  let mesh: CapturedMesh;
  let client: Pod;
  let server: Pod;
  const passed: string[] = [];

  beforeAll(async () => {
    mesh = await CapturedMesh.start({ prefix: "10.79" });
    client = await mesh.addPod();
    server = await mesh.addPod();
    const certificates = certificatesIn(mesh.folder);
    certificates.makeAuthority("authority");
    certificates.makeCertificate("app", "authority", "DNS:plain,DNS:secure");
    const [cert, key] = [join(mesh.folder, "app.pem"), join(mesh.folder, "app.key")];
    await mesh.startApp(server, "test/support/pod-app.ts", "v1");
    await mesh.startApp(server, "test/support/matrix-app.ts", cert, key);
    await mesh.startSidecar(client, "client");
    await mesh.startSidecar(server, "server");
    await mesh.apply(resources(server.address));
  });

  afterAll(async () => {
    await mesh?.stop();
    process.stdout.write(`${table(passed)}\n`);
  });

  for (const [name, policy] of Object.entries(protections)) {
    const host = name === "plain" ? "plain" : "secure";
    it.each(protocols)(`carries %s, ${name} between the sidecars`, async (protocol) => {
      const before = await connectionsBy(policy);
      const others = Object.values(protections).filter((other) => other !== policy);
      const unlike = await connectionsBy(...others);
      await carries[protocol](host);
      // What was a tunnel is counted when it is over.
      const isCounted = async () => expect(await connectionsBy(policy)).toBeGreaterThan(before);
      await until(isCounted, `a ${name} connection for ${protocol}`);
      expect(await connectionsBy(...others)).toBe(unlike);
      passed.push(`${protocol} ${name}`);
    });
  }

  const curl = (...args: readonly string[]): Promise<string> =>
    client.run("curl", "-sS", "--max-time", "20", ...args, "-w", "%{http_version}");
  const ask = async (protocol: Protocol, host: string): Promise<unknown> =>
    JSON.parse(await client.run(process.execPath, "test/support/matrix-client.ts", protocol, host));

  const carries: Readonly<Record<Protocol, (host: string) => Promise<void>>> = {
    "HTTP/1.1": async (host) => {
      const text = await curl(`http://${host}/`);
      expect(text).toContain(`"host":"${host}"`);
      expect(text).toMatch(/1\.1$/);
    },
    h2c: async (host) => {
      const text = await curl("--http2-prior-knowledge", `http://${host}:81/`);
      expect(text).toContain(`"version":"v1"`);
      expect(text).toMatch(/2$/);
    },
    h2: async (host) => {
      expect(await curl("--insecure", "--http2", `https://${host}:8443/`)).toBe("HTTP/2.0\n2");
    },
    gRPC: async (host) => {
      const heard = { code: 0, text: "you said hi", trailer: "behind", heard: "re: one" };
      expect(await ask("gRPC", host)).toEqual(heard);
    },
    WebSocket: async (host) => {
      expect(await ask("WebSocket", host)).toEqual({ status: 101, heard: "v1 ping" });
    },
    TCP: async (host) => {
      expect(await ask("TCP", host)).toBe("v1 ping");
    },
    TLS: async (host) => {
      expect(await ask("TLS", host)).toBe("echo ping");
    },
  };

  /** Requests and connections that the server's sidecar has taken so far under any of these policies. */
  async function connectionsBy(...policies: readonly string[]): Promise<number> {
    let sum = 0;
    for (const metric of ["istio_requests_total", "istio_tcp_connections_opened_total"])
      for (const policy of policies) {
        const label = `connection_security_policy="${policy}"`;
        for (const line of await mesh.metrics(server, `${metric}{`, label))
          sum += Number(line.split(" ").at(-1));
      }
    return sum;
  }
});

function table(passed: readonly string[]): string {
  const columns = Object.keys(protections);
  const rows = protocols.map((protocol) => {
    const cells = columns.map((name) => (passed.includes(`${protocol} ${name}`) ? "pass" : "–").padEnd(8));
    return `${protocol.padEnd(10)} ${cells.join("")}`;
  });
  return [`${"captured".padEnd(10)} ${columns.map((name) => name.padEnd(8)).join("")}`, ...rows].join("\n");
}

/** The same workload under two names: of one it is said that it can do mutual TLS. */
function resources(address: string): string {
  const entry = (name: string, labels: string) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name}, namespace: shop }
spec:
  hosts: [${name}.shop.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports:
    - { number: 80, name: http, protocol: HTTP, targetPort: 8080 }
    - { number: 81, name: http2, protocol: HTTP2, targetPort: 8081 }
    - { number: 8443, name: tls-h2, protocol: TLS }
    - { number: 9000, name: tcp, protocol: TCP }
    - { number: 9443, name: tls, protocol: TLS }
    - { number: 50051, name: grpc, protocol: GRPC }
  endpoints:
    - { address: ${address}, serviceAccount: server, labels: { app: server${labels} } }
`;
  return [entry("plain", ""), entry("secure", ", security.istio.io/tlsMode: istio")].join("---");
}
