import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CapturedMesh, canCapture, until } from "../support/captured-mesh.ts";
import type { Pod } from "../support/pod-network.ts";

interface Told {
  readonly version: string;
  readonly from: string;
  readonly host: string;
  readonly xfcc?: string;
}

describe.runIf(canCapture)("pods whose connections are captured", () => {
  let mesh: CapturedMesh;
  let client: Pod;
  let v1: Pod;
  let v2: Pod;
  let outside: Pod;

  const curl = async (pod: Pod, ...args: readonly string[]): Promise<Told> =>
    JSON.parse(await pod.run("curl", "-sS", "--max-time", "20", ...args)) as Told;
  const status = (pod: Pod, url: string): Promise<string> =>
    pod.run("curl", "-s", "--max-time", "20", "-o", "/dev/null", "-w", "%{http_code}", url);

  beforeAll(async () => {
    mesh = await CapturedMesh.start({ prefix: "10.78" });
    client = await mesh.addPod();
    v1 = await mesh.addPod();
    v2 = await mesh.addPod();
    outside = await mesh.network.addPod();
    await mesh.startApp(v1, "test/support/pod-app.ts", "v1");
    await mesh.startApp(v2, "test/support/pod-app.ts", "v2");
    await mesh.startApp(outside, "test/support/pod-app.ts", "outside");
    await mesh.network.hub.run("true");
    await mesh.startSidecar(client, "client");
    await mesh.startSidecar(v1, "server");
    await mesh.startSidecar(v2, "server");
    await mesh.apply(resources(v1.address, v2.address));
  });

  afterAll(async () => {
    await mesh?.stop();
  });

  // covers ServiceEntry hosts[], ports[].targetPort, ports[].protocol, endpoints[].address
  it("are reached by name, with mutual TLS, by an HTTP client that knows of nothing", async () => {
    const seen = new Set<string>();
    await until(async () => {
      const told = await curl(client, "http://server/");
      expect(told.host).toBe("server");
      // The app is spoken to from the address that the rules leave alone.
      expect(told.from).toMatch(/127\.0\.0\.6$/);
      seen.add(told.version);
      expect(seen.size).toBe(2);
    }, "both versions");
    const served = await mesh.metrics(v1, "istio_requests_total", 'reporter="destination"');
    expect(served.length).toBeGreaterThan(0);
    expect(served.every((line) => line.includes('connection_security_policy="mutual_tls"'))).toBe(true);
    expect(served[0]).toContain('source_principal="spiffe://cluster.local/ns/shop/sa/client"');
  });

  it("are known by all names that cluster DNS would have, over IPv4 and IPv6", async () => {
    for (const name of ["server.shop", "server.shop.svc", "server.shop.svc.cluster.local"])
      expect((await curl(client, `http://${name}/`)).host).toBe(name);
    for (const family of ["-4", "-6"])
      expect((await curl(client, family, "http://server/")).host).toBe("server");
    const questions = await mesh.metrics(client, "weft_dns_questions_total", 'source="mesh"');
    expect(Number(questions[0]?.split(" ").at(-1))).toBeGreaterThan(0);
  });

  it("are reached by another port that speaks HTTP, although the Host names none", async () => {
    expect((await curl(client, "-H", "Host: server", "http://server:8085/")).host).toBe("server");
    expect((await curl(client, "http://server:8085/")).host).toBe("server:8085");
  });

  it("are reached by Python and over HTTP/2", async () => {
    const program =
      "import urllib.request as r; print(r.urlopen('http://server/', timeout=20).read().decode())";
    expect(await client.run("python3", "-c", program)).toContain('"host":"server"');
    const told = await curl(client, "--http2-prior-knowledge", "http://server:81/");
    expect(["v1", "v2"]).toContain(told.version);
  });

  it("pass on what is no HTTP by the address of its service, and wait for no server that speaks first", async () => {
    expect(await say(client, "server", 9000, "ping")).toMatch(/^v[12] ping$/);
    const begin = performance.now();
    expect(await say(client, "server", 9001, "")).toMatch(/^hello from v[12]$/);
    expect(performance.now() - begin).toBeLessThan(10_000);
    const passed = await mesh.metrics(
      client,
      "istio_tcp_connections_opened_total",
      "server.shop.svc.cluster.local",
    );
    expect(passed.length).toBeGreaterThan(0);
    const taken = [v1, v2].map((pod) =>
      mesh.metrics(pod, "istio_tcp_connections_opened_total", "mutual_tls"),
    );
    expect((await Promise.all(taken)).flat().length).toBeGreaterThan(0);
  });

  // covers VirtualService http[].route[].weight, tcp[].match[].port, tcp[].route[].weight
  it("go where a VirtualService sends requests and connections", async () => {
    await mesh.apply(virtualService("v2"));
    for (let round = 0; round < 4; round += 1) {
      expect((await curl(client, "http://server/")).version).toBe("v2");
      expect(await say(client, "server", 9000, "x")).toBe("v2 x");
    }
    await mesh.apply(virtualService("v1"));
    expect((await curl(client, "http://server/")).version).toBe("v1");
    expect(await say(client, "server", 9000, "x")).toBe("v1 x");
  });

  it("reach what the mesh does not know, HTTP or not, at the address that was asked for", async () => {
    const { address } = outside;
    expect((await curl(client, `http://${address}:8080/`)).version).toBe("outside");
    expect((await curl(client, "-H", "Host: nobody.example", `http://${address}:8080/`)).version).toBe(
      "outside",
    );
    expect(await say(client, address, 9000, "x")).toBe("outside x");
    expect(await say(client, address, 9001, "")).toBe("hello from outside");
    expect(await say(client, outside.address6, 9000, "six")).toBe("outside six");
    const passed = await mesh.metrics(client, "istio_tcp_connections_opened_total", '"PassthroughCluster"');
    expect(passed.length).toBeGreaterThan(0);
  });

  it("are reached by their own addresses, at ports that no service has too", async () => {
    expect((await curl(client, `http://${v2.address}:8080/`)).version).toBe("v2");
    expect((await curl(outside, `http://${v1.address}:8080/`)).version).toBe("v1");
    expect((await curl(outside, `http://[${v1.address6}]:8080/`)).version).toBe("v1");
    expect(await say(outside, v1.address, 9999, "x")).toBe("v1 x");
  });

  it("refuse connections to their sidecar's own ports", async () => {
    for (const port of [15_001, 15_006]) {
      await expect(say(outside, v1.address, port, "x")).rejects.toThrow();
      await expect(say(client, "127.0.0.1", port, "x")).rejects.toThrow();
    }
    const refused = await mesh.metrics(client, "istio_tcp_connections_closed_total", "BlackHoleCluster");
    expect(refused.length).toBeGreaterThan(0);
  });

  it("call their own service, and themselves without their sidecar", async () => {
    await mesh.apply(virtualService("v1"));
    expect((await curl(v1, "http://server/")).version).toBe("v1");
    const told = await curl(v1, "http://127.0.0.1:8080/");
    expect(told.from).toMatch(/127\.0\.0\.1$/);
  });

  // covers PeerAuthentication mtls.mode, portLevelMtls{}.mode
  it("let strangers in only where nobody asks who they are", async () => {
    await mesh.apply(peerAuthentication);
    await expect(curl(outside, `http://${v1.address}:8080/`)).rejects.toThrow();
    await expect(say(outside, v1.address, 9999, "x")).rejects.toThrow();
    expect(await say(outside, v1.address, 9000, "x")).toBe("v1 x");
    expect((await curl(client, "http://server/")).version).toBe("v1");
    expect(await say(client, "server", 9001, "")).toBe("hello from v1");
  });

  // covers AuthorizationPolicy rules[].to[].operation.ports[]
  it("are protected by policies for the port that was meant", async () => {
    await mesh.apply(denial);
    expect(await status(client, "http://server:8085/")).toBe("403");
    expect(await status(client, "http://server/")).toBe("403");
    expect(await say(client, "server", 9000, "x")).toBe("v1 x");
    await mesh.network.hub.run(...weftDelete("AuthorizationPolicy/server"));
    await until(async () => expect(await status(client, "http://server/")).toBe("200"), "the policy's end");
  });

  // covers Sidecar outboundTrafficPolicy.mode
  it("reach nothing else where the mesh says so", async () => {
    await mesh.apply(registryOnly, false);
    await mesh.startSidecar(client, "client");
    expect(await status(client, `http://${outside.address}:8080/`)).toBe("502");
    await expect(say(client, outside.address, 9000, "x")).rejects.toThrow();
    expect((await curl(client, "http://server/")).version).toBe("v1");
    const refused = await mesh.metrics(client, "istio_tcp_connections_closed_total", "BlackHoleCluster");
    expect(refused.length).toBeGreaterThan(0);
  });

  it("go on when their sidecar starts anew", async () => {
    await mesh.startSidecar(v1, "server");
    expect((await curl(client, "http://server/")).version).toBe("v1");
    expect(await say(client, "server", 9001, "")).toBe("hello from v1");
    await mesh.startSidecar(client, "client");
    expect((await curl(client, "http://server/")).version).toBe("v1");
    expect(await say(client, "server", 9000, "x")).toBe("v1 x");
  });
});

/** Opens a connection from a pod, says something and answers the first line that comes back; rejects when none does. */
async function say(pod: Pod, host: string, port: number, text: string): Promise<string> {
  const program = [
    "import socket, sys",
    "s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)",
    "s.settimeout(20)",
    "s.sendall(sys.argv[3].encode())",
    "heard = s.recv(100)",
    "sys.exit(1) if not heard else print(heard.decode())",
  ].join("\n");
  return (await pod.run("python3", "-c", program, host, String(port), text)).trim();
}

function weftDelete(resource: string): [string, ...string[]] {
  const plane = ["--control-plane", "127.0.0.1:15014"];
  return [process.execPath, "cli/main.ts", "delete", resource, "-n", "shop", "--wait", ...plane];
}

function virtualService(version: string): string {
  const route = `route: [{ destination: { host: server, subset: ${version} } }]`;
  return `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: server, namespace: shop }
spec:
  hosts: [server.shop.svc.cluster.local]
  http: [{ ${route} }]
  tcp: [{ match: [{ port: 9000 }], ${route} }, { match: [{ port: 9001 }], ${route} }]
`;
}

const peerAuthentication = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: server, namespace: shop }
spec:
  selector: { matchLabels: { app: server } }
  mtls: { mode: STRICT }
  portLevelMtls: { 9000: { mode: PERMISSIVE } }
`;

const denial = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: server, namespace: shop }
spec:
  selector: { matchLabels: { app: server } }
  action: DENY
  rules: [{ to: [{ operation: { ports: ["8080"] } }] }]
`;

const registryOnly = `
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: client, namespace: shop }
spec:
  workloadSelector: { labels: { app: client } }
  outboundTrafficPolicy: { mode: REGISTRY_ONLY }
`;

function resources(v1: string, v2: string): string {
  const endpoint = (address: string, version: string) =>
    `    - { address: ${address}, serviceAccount: server, labels: { app: server, version: ${version}, security.istio.io/tlsMode: istio } }`;
  return `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: server, namespace: shop }
spec:
  hosts: [server.shop.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports:
    - { number: 80, name: http, protocol: HTTP, targetPort: 8080 }
    - { number: 8085, name: http-other, protocol: HTTP, targetPort: 8080 }
    - { number: 81, name: http2, protocol: HTTP2, targetPort: 8081 }
    - { number: 9000, name: tcp-echo, protocol: TCP }
    - { number: 9001, name: tcp-first, protocol: TCP }
  endpoints:
${endpoint(v1, "v1")}
${endpoint(v2, "v2")}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: server, namespace: shop }
spec:
  host: server.shop.svc.cluster.local
  subsets:
    - { name: v1, labels: { version: v1 } }
    - { name: v2, labels: { version: v2 } }
`;
}
