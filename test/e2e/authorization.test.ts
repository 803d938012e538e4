import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { request } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RunningMesh } from "../support/mesh.ts";
import { startMesh } from "../support/mesh.ts";

/** Who may call whom in a mesh of processes: certificates, policies, tokens and edges, from YAML files to answers. */

const folder = mkdtempSync(join(tmpdir(), "weft-policies-"));
let mesh: RunningMesh;
let key: CryptoKey;

/** Answers with what it got; `/call/HOST/PATH` calls on through its sidecar. */
const app = `
import { createServer, request } from "node:http";
createServer((asked, answer) => {
  const call = /^\\/call\\/([^/]+)(\\/.*)$/.exec(asked.url);
  if (call === null) {
    answer.end(JSON.stringify({ by: process.env.INSTANCE, url: asked.url, headers: asked.headers }));
    return;
  }
  const onward = request(process.env.MESH_URL + call[2], { headers: { host: call[1] }, method: asked.method }, (got) => {
    answer.writeHead(got.statusCode);
    got.pipe(answer);
  });
  onward.on("error", () => answer.writeHead(599).end());
  onward.end();
}).listen(process.env.PORT, "127.0.0.1");
`;

const meshFile = `
kind: LocalMesh
name: policies
config: [config]
meshConfig:
  pathNormalization: { normalization: MERGE_SLASHES }
gateways:
  - { name: gateway, labels: { istio: ingressgateway }, ports: { 80: 8080 }, accessLog: json }
workloads:
  - { name: ui, service: ui, port: 8000, command: [node, app.mjs] }
  - { name: stranger, service: stranger, port: 8000, command: [node, app.mjs] }
  - { name: product, service: product, port: 8000, command: [node, app.mjs], accessLog: json }
`;

const routes = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: edge }
spec:
  selector: { istio: ingressgateway }
  servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: ["*"] }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: edge }
spec:
  hosts: ["*"]
  gateways: [edge]
  http:
    - match: [{ uri: { prefix: /stranger/ } }]
      rewrite: { uri: / }
      route: [{ destination: { host: stranger } }]
    - match: [{ uri: { prefix: /product/ } }]
      rewrite: { uri: / }
      route: [{ destination: { host: product } }]
    - route: [{ destination: { host: ui } }]
`;

const readers = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: product-readers }
spec:
  selector: { matchLabels: { app: product } }
  rules:
    - from: [{ source: { principals: ["cluster.local/ns/default/sa/ui"] } }]
      to: [{ operation: { methods: [GET], paths: ["/items/{*}"] } }]
`;

function signIn(jwks: string): string {
  return `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: sign-in }
spec:
  selector: { matchLabels: { istio: ingressgateway } }
  jwtRules: [{ issuer: "https://issuer", jwks: '${jwks}', outputClaimToHeaders: [{ header: x-user, claim: sub }] }]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: private }
spec:
  selector: { matchLabels: { istio: ingressgateway } }
  action: DENY
  rules:
    - from: [{ source: { notRequestPrincipals: ["*"] } }]
      to: [{ operation: { paths: ["/private*"] } }]
`;
}

beforeAll(async () => {
  mkdirSync(join(folder, "config"));
  const pair = await generateKeyPair("ES256", { extractable: true });
  key = pair.privateKey;
  writeFileSync(join(folder, "app.mjs"), app);
  writeFileSync(join(folder, "mesh.yaml"), meshFile);
  writeFileSync(join(folder, "config", "routes.yaml"), routes);
  writeFileSync(join(folder, "config", "readers.yaml"), readers);
  const jwks = JSON.stringify({ keys: [await exportJWK(pair.publicKey)] });
  writeFileSync(join(folder, "config", "sign-in.yaml"), signIn(jwks));
  mesh = await startMesh(join(folder, "mesh.yaml"));
});

afterAll(async () => {
  await mesh?.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function ask(path: string, headers: Record<string, string> = {}, method = "GET") {
  const answer = await request(`${mesh.gatewayUrl}${path}`, { headers, method: method as "GET" });
  return { status: answer.statusCode, content: await answer.body.text() };
}

describe("policies", () => {
  it("let in by certificate, method and path, and nobody else", async () => {
    expect((await ask("/call/product/items/7")).status).toBe(200);
    expect((await ask("/call/product/items/7", {}, "DELETE")).status).toBe(403);
    expect((await ask("/call/product/items/7/8")).status).toBe(403);
    // Neither another workload nor the gateway itself has the certificate, whatever they say.
    const refused = await ask("/stranger/call/product/items/7", {
      "x-forwarded-client-cert": "URI=spiffe://cluster.local/ns/default/sa/ui",
    });
    expect([refused.status, refused.content]).toEqual([403, "RBAC: access denied"]);
    expect((await ask("/product/items/7")).status).toBe(403);
  });

  it("are named in the log of who was refused, with what the nearest one lacked", async () => {
    await ask("/stranger/call/product/items/9");
    const [line] = await mesh.logged(/.*\/items\/9.*"denial".*/);
    expect(line).toContain("AuthorizationPolicy/default/product-readers");
    expect(line).toContain("readers.yaml:");
    expect(line).toMatch(/principal is \\"spiffe:.*sa\/stranger\\"/);
  });

  it("are asked by weft explain, as their proxies would", async () => {
    const allowed = await mesh.weft(
      "explain",
      "GET",
      "http://product:8000/items/7",
      "--service-account",
      "ui",
    );
    expect(allowed.stdout).toMatch(
      /access +allowed at product: allowed by AuthorizationPolicy\/default\/product-readers/,
    );
    const refused = await mesh.weft(
      "explain",
      "GET",
      "http://product:8000/items/7",
      "--service-account",
      "stranger",
    );
    expect(refused.stdout).toMatch(
      /access +403 at product: no policy allows it; nearest is .*product-readers/,
    );
  });

  it("change under load without a request that is judged by neither of them", async () => {
    let isOver = false;
    const statuses = new Map<number, number>();
    const load = Promise.all(
      Array.from({ length: 4 }, async () => {
        while (!isOver) {
          const { status } = await ask("/call/product/items/1");
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
        }
      }),
    );
    const closed = join(folder, "closed.yaml");
    writeFileSync(
      closed,
      readers.replace("product-readers", "closed").replace(/rules:[\s\S]*/, "action: DENY\n  rules: [{}]\n"),
    );
    const applied = await mesh.weft("apply", "-f", closed, "--wait");
    expect([applied.code, applied.stderr]).toEqual([0, ""]);
    expect((await ask("/call/product/items/1")).status).toBe(403);
    expect((await mesh.weft("delete", "AuthorizationPolicy/closed")).code).toBe(0);
    await expect.poll(async () => (await ask("/call/product/items/1")).status).toBe(200);
    isOver = true;
    await load;
    expect([...statuses.keys()].filter((status) => status !== 200 && status !== 403)).toEqual([]);
    expect(statuses.get(200)).toBeGreaterThan(0);
  });
});

describe("a gateway", () => {
  it("believes sound tokens and asks for one where a policy says so", async () => {
    const token = await new SignJWT({ iss: "https://issuer", sub: "alice" })
      .setProtectedHeader({ alg: "ES256" })
      .setExpirationTime("1h")
      .sign(key);
    expect((await ask("/open")).status).toBe(200);
    for (const path of ["/private", "//private", "/x/../private", "/%70rivate"])
      expect((await ask(path)).status).toBe(403);
    const signedIn = await ask("/private", { authorization: `Bearer ${token}` });
    expect(signedIn.status).toBe(200);
    expect(JSON.parse(signedIn.content)).toMatchObject({ headers: { "x-user": "alice" } });
    const forged = token.slice(0, -4) + (token.endsWith("AAAA") ? "BBBB" : "AAAA");
    expect((await ask("/open", { authorization: `Bearer ${forged}` })).status).toBe(401);
    expect((await ask("/private;a=b", { authorization: `Bearer ${token}` })).status).toBe(400);
  });
});
