import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { certificatesIn } from "../support/certificates.ts";
import { startSecureMesh } from "../support/secure-mesh.ts";
import { onlyPort, resourceYaml, YamlMesh } from "../support/yaml-mesh.ts";

const execute = promisify(execFile);

/** What testssl.sh says of one thing that it looked at. */
interface Finding {
  readonly id: string;
  readonly severity: "OK" | "INFO" | "LOW" | "MEDIUM" | "HIGH" | "CRITICAL" | "WARN" | "DEBUG" | "FATAL";
  readonly finding: string;
}

/** Findings above LOW that are meant to be so; docs/security.md says why. */
const explained = new Set([
  // A private authority offers neither lists nor answers about revocation: certificates live for hours instead.
  "cert_revocation",
  // The test's certificates live two days, a sidecar's one.
  "cert_expirationStatus",
  "cert_notAfter",
  // Names of the test, and SPIFFE IDs instead of host names: testssl.sh asks for 127.0.0.1.
  "cert_trust",
  "cert_chain_of_trust",
]);

const folder = mkdtempSync(join(tmpdir(), "weft-testssl-"));
const found = await execute("testssl", ["--version"]).then(
  () => true,
  () => false,
);
if (!found && process.env["CI"] !== undefined)
  throw new Error("testssl.sh is missing (hint: apt-get install testssl.sh)");

describe.skipIf(!found)("testssl.sh", () => {
  const stops: (() => Promise<unknown>)[] = [];

  beforeAll(() => {
    const { makeAuthority, makeCertificate } = certificatesIn(folder);
    makeAuthority("ca");
    makeCertificate("shop", "ca", "DNS:shop.example.com");
  });
  afterAll(async () => {
    for (const stop of stops) await stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it("finds nothing at a gateway's door", async () => {
    const mesh = new YamlMesh();
    stops.push(() => mesh.stop());
    const files = `serverCertificate: ${join(folder, "shop.pem")}, privateKey: ${join(folder, "shop.key")}`;
    await mesh.apply(
      resourceYaml(
        "Gateway",
        "edge",
        `selector: { app: edge }\nservers:\n- port: { number: 443, name: https, protocol: HTTPS }\n  hosts: ["*"]\n  tls: { mode: SIMPLE, ${files} }`,
      ),
      resourceYaml(
        "VirtualService",
        "all",
        'hosts: ["*"]\ngateways: [edge]\nhttp: [{ directResponse: { status: 200, body: { string: hello } } }]',
      ),
    );
    const gateway = await mesh.proxy({ kind: "gateway", labels: "app=edge", bind: ["443=127.0.0.1:1"] });
    await expectClean(onlyPort(gateway), "shop.example.com");
  });

  it("finds nothing at a sidecar's door", async () => {
    const mesh = await startSecureMesh();
    stops.push(() => mesh.stop());
    const sidecar = await mesh.sidecar("review-v1", "review", 1);
    // While plain callers are let in, TLS without our protocol names is the application's own.
    await mesh.apply(`apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: STRICT } }`);
    await expectClean(sidecar.port("virtualInbound")!, "review.shop.svc.cluster.local");
  });
});

async function expectClean(port: number, name: string): Promise<void> {
  const file = join(folder, `${port}.json`);
  // Protocols, ciphers, forward secrecy, the certificate, the order of ciphers, and every known vulnerability.
  const looks = ["-p", "-s", "-f", "-S", "-P", "-U"];
  const how = [
    "--quiet",
    "--color",
    "0",
    "--warnings",
    "off",
    "--ip",
    "127.0.0.1",
    "--add-ca",
    join(folder, "ca.pem"),
  ];
  // It ends with the number of its findings, or with what it could not look at.
  await execute("testssl", [...how, ...looks, "--jsonfile", file, `${name}:${port}`], {
    timeout: 280_000,
  }).catch((error: { readonly killed?: boolean }) => {
    if (error.killed) throw error;
  });
  const findings = JSON.parse(readFileSync(file, "utf8")) as readonly Finding[];
  const above = findings.filter(({ severity }) => ["MEDIUM", "HIGH", "CRITICAL", "FATAL"].includes(severity));
  const unexplained = above.filter(({ id }) => !explained.has(id.replace(/ <.*$/, "")));
  console.log(
    `testssl.sh ${name}: ${findings.length} findings, above LOW: ${above.map(({ id }) => id).join(", ") || "none"}`,
  );
  expect(unexplained).toEqual([]);
  // It did look: TLS 1.3 was seen, and the old protocols were asked for in vain.
  const of = (id: string) => findings.find((finding) => finding.id === id)?.finding;
  expect(of("TLS1_3")).toMatch(/^offered/);
  expect([of("SSLv2"), of("SSLv3"), of("TLS1"), of("TLS1_1")]).toEqual(Array(4).fill("not offered"));
  expect(findings.length).toBeGreaterThan(50);
}
