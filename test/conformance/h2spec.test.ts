import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { certificatesIn } from "../support/certificates.ts";
import { h2specBinary, runH2spec } from "../support/h2spec.ts";
import { sceneOfEachTest } from "../support/scene.ts";
import { onlyPort, resourceYaml, serviceYaml } from "../support/yaml-mesh.ts";

/** RFC 9113 and RFC 7541 as h2spec reads them, against proxies that stand before a real server. */

let why = "";
const binary = await h2specBinary((reason) => {
  why = reason;
});
// In CI nothing is left out.
if (binary === undefined && process.env["CI"] !== undefined) throw new Error(why);

const folder = mkdtempSync(join(tmpdir(), "weft-h2spec-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const { echo, meshOf } = sceneOfEachTest();

function startApp() {
  return echo("app", (request, response) => {
    request.resume();
    request.on("end", () => response.end("an answer of some octets"));
  });
}

describe.skipIf(binary === undefined)("h2spec's generic, http2 and hpack sections", () => {
  it("pass without a failure at a gateway, over TLS", async () => {
    const app = await startApp();
    const certificates = certificatesIn(folder);
    certificates.makeAuthority("ca");
    certificates.makeCertificate("edge", "ca", "DNS:edge.test,IP:127.0.0.1");
    const mesh = await meshOf(
      serviceYaml("app.test", { v1: app.port }),
      resourceYaml(
        "Gateway",
        "edge",
        `
selector: { app: edge }
servers:
- port: { number: 443, name: https, protocol: HTTPS }
  hosts: ["*"]
  tls: { mode: SIMPLE, serverCertificate: ${folder}/edge.pem, privateKey: ${folder}/edge.key }`,
      ),
      resourceYaml(
        "VirtualService",
        "edge",
        `hosts: ["*"]\ngateways: [edge]\nhttp:\n- route: [{ destination: { host: app.test } }]`,
      ),
    );
    const gateway = await mesh.proxy({ kind: "gateway", labels: "app=edge", bind: ["443=127.0.0.1:1"] });
    const { summary, failures, output } = await runH2spec(binary!, "127.0.0.1", onlyPort(gateway), true);
    expect(failures, output).toEqual([]);
    expect(summary).toMatch(/^\d+ tests, \d+ passed, 0 skipped, 0 failed/);
    console.info(`h2spec, a gateway with TLS: ${summary}`);
  });

  // What does not begin with HTTP/2's preface is HTTP/1.1 on a port for both, and gets HTTP/1.1's 400.
  it("pass at a sidecar's plain port but for the preface that is none", async () => {
    const app = await startApp();
    const mesh = await meshOf(serviceYaml("app.test", { v1: 1 }));
    const sidecar = await mesh.proxy({ inbound: "127.0.0.2:1", app: `127.0.0.1:${app.port}` });
    const port = sidecar.port("virtualInbound")!;
    const { summary, failures, output } = await runH2spec(binary!, "127.0.0.2", port, false);
    expect(new Set(failures), output).toEqual(new Set(["Sends invalid connection preface"]));
    console.info(`h2spec, a sidecar in plain text: ${summary}`);
  });
});
