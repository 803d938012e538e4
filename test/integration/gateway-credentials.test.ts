import { execFileSync } from "node:child_process";
import { createHash, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import type { AgentOptions } from "node:https";
import { Agent, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { request as plainRequest } from "undici";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { ProxyApp } from "../../proxy/app.ts";
import { certificatesIn } from "../support/certificates.ts";
import type { EchoServer } from "../support/echo-server.ts";
import { startEcho } from "../support/echo-server.ts";
import { YamlMesh } from "../support/yaml-mesh.ts";

/** Where a gateway's certificates come from, and what it asks of its clients' ones. */

const folder = mkdtempSync(join(tmpdir(), "weft-credentials-"));
const file = (name: string) => join(folder, name);
const read = (name: string) => readFileSync(file(name), "utf8");
const { makeAuthority, makeCertificate } = certificatesIn(folder);
const stops: (() => Promise<unknown>)[] = [];
let echo: EchoServer | undefined;
let ui: number;

beforeAll(async () => {
  makeAuthority("ca");
  makeCertificate("shop", "ca", "DNS:shop.example.com");
  makeCertificate("next", "ca", "DNS:shop.example.com");
  makeCertificate("client", "ca", "DNS:client.example.com,URI:spiffe://mesh/client");
  makeCertificate("other", "ca", "DNS:other.example.com");
  makeAuthority("strangers");
  makeCertificate("stranger", "strangers", "DNS:client.example.com");
});
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});
afterAll(async () => {
  await echo?.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe("a gateway", () => {
  // covers Gateway servers[].tls.credentialName
  it("takes a certificate that comes later, and a new one, from the credential that the Gateway names", async () => {
    const secrets = file("secrets");
    const gateway = await start("mode: SIMPLE, credentialName: shop", { secrets });
    await expect(get(gateway, {})).rejects.toThrow();
    mkdirSync(join(secrets, "shop"), { recursive: true });
    place(secrets, "shop");
    await expect.poll(() => get(gateway, {}).catch(() => undefined)).toMatchObject({ subject: "shop" });
    place(secrets, "next");
    await expect.poll(() => get(gateway, {})).toMatchObject({ subject: "next" });
    const dump = await plainRequest(`http://127.0.0.1:${gateway.admin!.port}/config_dump`);
    const text = await dump.body.text();
    expect(text).toContain('"secret"');
    expect(text).not.toContain("PRIVATE KEY");
  });

  // covers Gateway servers[].tls.caCertCredentialName
  it("asks for certificates of the authorities in a credential", async () => {
    const secrets = file("secrets-mutual");
    for (const name of ["shop", "clients"]) mkdirSync(join(secrets, name), { recursive: true });
    place(secrets, "shop");
    writeFileSync(join(secrets, "clients", "ca.crt"), read("ca.pem"));
    const gateway = await start("mode: MUTUAL, credentialName: shop, caCertCredentialName: clients", {
      secrets,
    });
    expect((await get(gateway, own("client"))).status).toBe(200);
    await expect(get(gateway, {})).rejects.toThrow();
    await expect(get(gateway, own("stranger"))).rejects.toThrow();
  });

  // covers Gateway servers[].tls.mode
  it("lets in whoever shows no certificate where one is optional, and nobody with a wrong one", async () => {
    const gateway = await start(`mode: OPTIONAL_MUTUAL, ${files}, caCertificates: ${file("ca.pem")}`);
    expect((await get(gateway, {})).status).toBe(200);
    expect((await get(gateway, own("client"))).status).toBe(200);
    await expect(get(gateway, own("stranger"))).rejects.toThrow();
  });

  // covers Gateway servers[].tls.subjectAltNames[], servers[].tls.verifyCertificateHash[], servers[].tls.verifyCertificateSpki[]
  it.each([
    ["a name", () => "subjectAltNames: [nobody.example.com, client.example.com]"],
    ["a URI", () => 'subjectAltNames: ["spiffe://mesh/client"]'],
    ["its hash", () => `verifyCertificateHash: ["${hashOf("client")}"]`],
    ["the hash of its key", () => `verifyCertificateSpki: ["${keyHashOf("client")}"]`],
  ])("lets in the client that is known by %s, and no other of the same authority", async (_what, check) => {
    const gateway = await start(`mode: MUTUAL, ${files}, caCertificates: ${file("ca.pem")}, ${check()}`);
    expect((await get(gateway, own("client"))).status).toBe(200);
    await expect(get(gateway, own("other"))).rejects.toThrow();
  });

  // covers Gateway servers[].tls.caCrl
  it("refuses certificates that were taken back", async () => {
    const list = revoke("other");
    const tls = `mode: MUTUAL, ${files}, caCertificates: ${file("ca.pem")}, caCrl: ${list}`;
    const gateway = await start(tls);
    expect((await get(gateway, own("client"))).status).toBe(200);
    await expect(get(gateway, own("other"))).rejects.toThrow();
  });

  // covers Gateway servers[].tls.tlsCertificates[], servers[].tls.tlsCertificates[].serverCertificate, servers[].tls.tlsCertificates[].privateKey
  it("shows the certificate that a client can read", async () => {
    makeRsaCertificate("rsa");
    const pairs = ["shop", "rsa"].map(
      (name) => `{ serverCertificate: ${file(`${name}.pem`)}, privateKey: ${file(`${name}.key`)} }`,
    );
    const gateway = await start(`mode: SIMPLE, tlsCertificates: [${pairs.join(", ")}]`);
    const only = (kind: string) =>
      ({ maxVersion: "TLSv1.2", ciphers: `ECDHE-${kind}-AES128-GCM-SHA256` }) as const;
    expect((await get(gateway, only("RSA"))).subject).toBe("rsa");
    expect((await get(gateway, only("ECDSA"))).subject).toBe("shop");
  });
});

/** The file that lists the certificate as taken back. */
function revoke(name: string): string {
  const lines = [
    "[ca]",
    "default_ca = own",
    "[own]",
    `database = ${file("index")}`,
    "default_md = sha256",
    "default_crl_days = 2",
  ];
  writeFileSync(file("index"), "");
  writeFileSync(file("ca.cnf"), `${lines.join("\n")}\n`);
  const openssl = (...args: string[]) => execFileSync("openssl", args, { stdio: "ignore" });
  const authority = ["-config", file("ca.cnf"), "-cert", file("ca.pem"), "-keyfile", file("ca.key")];
  openssl("ca", ...authority, "-revoke", file(`${name}.pem`));
  openssl("ca", ...authority, "-gencrl", "-out", file("ca.crl"));
  return file("ca.crl");
}

function makeRsaCertificate(name: string): void {
  const openssl = (...args: string[]) => execFileSync("openssl", args, { stdio: "ignore" });
  const [asked, extensions] = [file(`${name}.csr`), file(`${name}.ext`)];
  writeFileSync(extensions, "subjectAltName=DNS:shop.example.com\n");
  const key = ["-newkey", "rsa:2048", "-nodes", "-keyout", file(`${name}.key`)];
  openssl("req", "-new", ...key, "-subj", `/CN=${name}`, "-out", asked);
  const signer = ["-CA", file("ca.pem"), "-CAkey", file("ca.key"), "-CAcreateserial"];
  const out = ["-extfile", extensions, "-out", file(`${name}.pem`)];
  openssl("x509", "-req", "-days", "2", "-in", asked, ...signer, ...out);
}

const files = `serverCertificate: ${file("shop.pem")}, privateKey: ${file("shop.key")}`;

async function start(tls: string, options: { readonly secrets?: string } = {}): Promise<ProxyApp> {
  if (ui === undefined) {
    echo = await startEcho("ui");
    ui = echo.port;
  }
  const mesh = new YamlMesh();
  stops.push(() => mesh.stop());
  await mesh.apply(`apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: edge }
spec:
  selector: { app: edge }
  servers: [{ port: { number: 443, name: https, protocol: HTTPS }, hosts: [shop.example.com], tls: { ${tls} } }]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ui }
spec:
  hosts: [ui.default.svc.cluster.local]
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: HTTP, targetPort: ${ui} }]
  endpoints: [{ address: 127.0.0.1 }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ui }
spec: { hosts: [shop.example.com], gateways: [edge], http: [{ route: [{ destination: { host: ui } }] }] }
`);
  return mesh.proxy(
    { kind: "gateway", labels: "app=edge", admin: "127.0.0.1:0", ...options },
    { certificateRefreshMs: 50 },
  );
}

/** As a mounted Secret changes: beside, then in its place. */
function place(secrets: string, name: string): void {
  for (const [target, source] of [
    ["tls.key", `${name}.key`],
    ["tls.crt", `${name}.pem`],
  ] as const) {
    writeFileSync(join(secrets, "shop", `${target}.new`), read(source));
    renameSync(join(secrets, "shop", `${target}.new`), join(secrets, "shop", target));
  }
}

function own(name: string): { cert: string; key: string } {
  return { cert: read(`${name}.pem`), key: read(`${name}.key`) };
}

function hashOf(name: string): string {
  return new X509Certificate(read(`${name}.pem`)).fingerprint256;
}

function keyHashOf(name: string): string {
  const der = new X509Certificate(read(`${name}.pem`)).publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(der).digest("base64");
}

async function get(
  gateway: ProxyApp,
  tls: Pick<AgentOptions, "cert" | "key" | "ciphers" | "maxVersion">,
): Promise<{ status: number; subject: string }> {
  const agent = new Agent({ servername: "shop.example.com", ca: read("ca.pem"), ...tls });
  const port = gateway.port("0.0.0.0_443")!;
  const sent = request({ host: "127.0.0.1", port, path: "/", headers: { host: "shop.example.com" }, agent });
  sent.end();
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  response.resume();
  await once(response, "end");
  const subject = String((sent.socket as TLSSocket).getPeerCertificate()?.subject?.CN ?? "");
  agent.destroy();
  return { status: response.statusCode!, subject };
}
