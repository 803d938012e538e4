import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { connect } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodeText } from "../../control-plane/resources/decode-text.ts";
import { certificatesIn } from "../support/certificates.ts";
import { sceneOfEachTest } from "../support/scene.ts";
import { onlyPort, resourceYaml, serviceYaml } from "../support/yaml-mesh.ts";

/** What each field of a Gateway's TLS settings does to a client's handshake. */

const folder = mkdtempSync(join(tmpdir(), "weft-gateway-fields-"));
const file = (name: string) => join(folder, name);
beforeAll(() => {
  const { makeAuthority, makeCertificate } = certificatesIn(folder);
  makeAuthority("ca");
  makeCertificate("shop", "ca", "DNS:shop.example.com");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const { after, meshOf } = sceneOfEachTest();

describe("a gateway's server", () => {
  // covers Gateway servers[].tls.minProtocolVersion, servers[].tls.maxProtocolVersion, servers[].tls.cipherSuites[]
  it.each<[string, readonly [ConnectionOptions, string][]]>([
    [
      "",
      [
        [{}, "TLSv1.3"],
        [{ maxVersion: "TLSv1.2" }, "TLSv1.2"],
        [{ minVersion: "TLSv1.1", maxVersion: "TLSv1.1" }, "refused"],
      ],
    ],
    [
      "minProtocolVersion: TLSV1_3",
      [
        [{}, "TLSv1.3"],
        [{ maxVersion: "TLSv1.2" }, "refused"],
      ],
    ],
    [
      "maxProtocolVersion: TLSV1_2",
      [
        [{}, "TLSv1.2"],
        [{ minVersion: "TLSv1.3" }, "refused"],
      ],
    ],
    [
      "cipherSuites: [ECDHE-ECDSA-AES256-GCM-SHA384]",
      [
        [{ maxVersion: "TLSv1.2" }, "TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384"],
        [{ maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256" }, "refused"],
      ],
    ],
  ])("with %s agrees only to what it allows", async (fields, attempts) => {
    const port = await gateway(fields);
    for (const [options, outcome] of attempts)
      expect([options, await handshake(port, options)]).toEqual([options, expect.stringContaining(outcome)]);
  });
});

describe("a gateway's servers", () => {
  const server = (more: string, port = "http") =>
    `- { port: { number: 80, name: ${port}, protocol: HTTP }, hosts: ["*"]${more} }`;

  // covers Gateway servers[].bind
  it("listen where they are told, everywhere else", async () => {
    const addresses = async (more: string) => {
      const route = "hosts: ['*']\ngateways: [edge]\nhttp: [{ directResponse: { status: 200 } }]";
      const mesh = await meshOf(
        resourceYaml("Gateway", "edge", `selector: { app: edge }\nservers:\n${server(more)}`),
        resourceYaml("VirtualService", "all", route),
      );
      const { received } = (await mesh.proxy({ kind: "gateway", labels: "app=edge" })).config();
      return [...received.listener.values()].map(({ value }) => value.address);
    };
    expect(await addresses(", bind: 127.0.0.1")).toEqual(["127.0.0.1"]);
    expect(await addresses("")).toEqual(["0.0.0.0"]);
  });

  // covers Gateway servers[].name
  it("have names of their own, if any", () => {
    const whys = (first: string, second: string) => {
      const servers = [server(first), server(second, "other")].join("\n");
      const { problems } = decodeText(
        resourceYaml("Gateway", "edge", `selector: { app: edge }\nservers:\n${servers}`),
        "g.yaml",
      );
      return problems.map(({ path, why }) => `${path} ${why}`);
    };
    expect(whys(", name: a", ", name: b")).toEqual([]);
    expect(whys(", name: a", ", name: a")).toEqual(['spec.servers[1].name "a" is given twice']);
  });
});

async function gateway(fields: string): Promise<number> {
  const tls = `mode: SIMPLE, serverCertificate: ${file("shop.pem")}, privateKey: ${file("shop.key")}`;
  const mesh = await meshOf(
    serviceYaml("ui", { v1: 1 }),
    resourceYaml(
      "Gateway",
      "edge",
      `selector: { app: edge }
servers:
- port: { number: 443, name: https, protocol: HTTPS }
  hosts: [shop.example.com]
  tls: { ${tls}${fields === "" ? "" : `, ${fields}`} }`,
    ),
    resourceYaml(
      "VirtualService",
      "ui",
      "hosts: [shop.example.com]\ngateways: [edge]\nhttp: [{ route: [{ destination: { host: ui } }] }]",
    ),
  );
  return onlyPort(await mesh.proxy({ kind: "gateway", labels: "app=edge", bind: ["443=127.0.0.1:1"] }));
}

/** Version and cipher that both agreed on. */
async function handshake(port: number, options: ConnectionOptions): Promise<string> {
  const ca = readFileSync(file("ca.pem"));
  const socket: TLSSocket = connect({
    host: "127.0.0.1",
    port,
    servername: "shop.example.com",
    ca,
    ...options,
  });
  after(async () => socket.destroy());
  const outcome = once(socket, "secureConnect").then(
    () => `${socket.getProtocol()} ${socket.getCipher().name}`,
    () => "refused",
  );
  return outcome;
}
