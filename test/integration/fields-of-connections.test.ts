import { once } from "node:events";
import type { AddressInfo, Server, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { request } from "undici";
import { afterEach, describe, expect, it } from "vitest";
import type { ProxyApp } from "../../proxy/app.ts";
import { clientHello } from "../support/client-hello.ts";
import { startEcho } from "../support/echo-server.ts";
import { resourceYaml, YamlMesh } from "../support/yaml-mesh.ts";

/** What the fields of rules for connections, and of a Sidecar's listeners, do over sockets. */

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

describe("a tcp rule at a gateway", () => {
  const gateway = resourceYaml(
    "Gateway",
    "edge",
    "selector: { app: edge }\nservers: [{ port: { number: 3306, name: mysql, protocol: TCP }, hosts: [db.example.com] }]",
  );
  const rules = (first: string) =>
    resourceYaml(
      "VirtualService",
      "db",
      `
hosts: [db.example.com]
gateways: [edge]
tcp:
  - { match: [${first}], route: [{ destination: { host: db, subset: v1 } }] }
  - { route: [{ destination: { host: db, subset: v2 } }] }`,
    );

  // covers VirtualService tcp[].match[].destinationSubnets[], tcp[].match[].sourceSubnet
  it.each([
    ["{ destinationSubnets: [10.0.0.0/8, 127.0.0.0/8] }", "v1"],
    ["{ destinationSubnets: [10.0.0.0/8] }", "v2"],
    ["{ sourceSubnet: 127.0.0.1 }", "v1"],
    ["{ sourceSubnet: 10.0.0.0/8 }", "v2"],
  ])("looks at addresses: %s", async (first, expected) => {
    const mesh = newMesh();
    await mesh.apply(gateway, await database(), rules(first));
    const proxy = await mesh.proxy({ kind: "gateway", labels: "app=edge", bind: ["3306=127.0.0.1:1"] });
    expect(await ask(proxy, "0.0.0.0_3306")).toBe(expected);
  });
});

describe("consistent hashing of connections", () => {
  const gateway = resourceYaml(
    "Gateway",
    "edge",
    "selector: { app: edge }\nservers: [{ port: { number: 3306, name: mysql, protocol: TCP }, hosts: [db.example.com] }]",
  );
  const toAll = resourceYaml(
    "VirtualService",
    "db",
    "hosts: [db.example.com]\ngateways: [edge]\ntcp: [{ route: [{ destination: { host: db } }] }]",
  );
  // Other loopback addresses than one are there without doing anything on Linux only.
  const clients = Array.from(
    { length: 16 },
    (_, at) => `127.0.0.${process.platform === "linux" ? at + 1 : 1}`,
  );

  // covers DestinationRule trafficPolicy.loadBalancer.consistentHash.useSourceIp
  it("keeps an address at one endpoint, and others at others", async () => {
    const policy = "trafficPolicy: { loadBalancer: { consistentHash: { useSourceIp: true } } }";
    const mesh = newMesh();
    await mesh.apply(gateway, await database("TCP", policy), toAll);
    const proxy = await mesh.proxy({ kind: "gateway", labels: "app=edge", bind: ["3306=0.0.0.0:1"] });
    const picks = () =>
      Promise.all(clients.map((client) => ask(proxy, "0.0.0.0_3306", "?", { localAddress: client })));
    const first = await picks();
    for (let turn = 0; turn < 3; turn++) expect(await picks()).toEqual(first);
    if (process.platform === "linux") expect([...new Set(first)].sort()).toEqual(["v1", "v2"]);
  });
});

describe("a tls rule in a sidecar", () => {
  const rules = resourceYaml(
    "VirtualService",
    "db",
    `
hosts: [db]
tls:
  - match: [{ sniHosts: [db.default.svc.cluster.local], sourceLabels: { app: other }, destinationSubnets: [127.0.0.0/8] }]
    route: [{ destination: { host: db, subset: v1 } }]
  - match: [{ sniHosts: [db.default.svc.cluster.local], sourceNamespace: other }]
    route: [{ destination: { host: db, subset: v1 } }]
  - match: [{ sniHosts: [db.default.svc.cluster.local], gateways: [default/edge] }]
    route: [{ destination: { host: db, subset: v1 } }]
  - match: [{ sniHosts: [db.default.svc.cluster.local], destinationSubnets: [127.0.0.0/8] }]
    route: [{ destination: { host: db, subset: v2 }, weight: 1 }, { destination: { host: db, subset: v1 }, weight: 0 }]`,
  );
  const sidecar = resourceYaml(
    "Sidecar",
    "own",
    'egress: [{ port: { number: 3306, protocol: TLS, name: tls }, hosts: ["*/*"] }]',
  );

  // covers VirtualService tls[].match[].sourceLabels{}, tls[].match[].sourceNamespace, tls[].match[].gateways[], tls[].match[].destinationSubnets[], tls[].route[].weight
  // covers Sidecar egress[].port.name
  it("is the first that is for this caller and this address", async () => {
    const mesh = newMesh();
    await mesh.apply(await database("TLS"), rules, sidecar);
    const proxy = await mesh.proxy({ labels: "app=web" });
    const name = "db.default.svc.cluster.local";
    expect(await ask(proxy, "127.0.0.1_3306", clientHello(name))).toBe("v2");
    const other = await mesh.proxy({ labels: "app=other" });
    expect(await ask(other, "127.0.0.1_3306", clientHello(name))).toBe("v1");
    expect(await ask(proxy, "127.0.0.1_3306", clientHello("nobody.example.com"))).toBe("");
  });
});

describe("a Sidecar", () => {
  // covers Sidecar ingress[].port, ingress[].port.number, ingress[].port.protocol, ingress[].bind, ingress[].captureMode, ingress[].defaultEndpoint
  it("opens ports for what comes in, and takes it to the workload", async () => {
    const echo = await startEcho("app");
    stops.push(() => echo.stop());
    const raw = await named("raw");
    const mesh = newMesh();
    await mesh.apply(
      resourceYaml(
        "Sidecar",
        "own",
        `
ingress:
  - { port: { number: 8080, name: http, protocol: HTTP }, defaultEndpoint: "127.0.0.1:${echo.port}" }
  - { port: { number: 9000, protocol: TCP }, bind: 127.0.0.1, captureMode: NONE, defaultEndpoint: "0.0.0.0:${raw}" }`,
      ),
    );
    const proxy = await mesh.proxy();
    const { statusCode, body } = await request(`http://127.0.0.1:${proxy.port("inbound_0.0.0.0_8080")}/`);
    await body.dump();
    expect(statusCode).toBe(200);
    expect(await ask(proxy, "inbound_127.0.0.1_9000")).toBe("raw");
  });

  // covers Sidecar outboundTrafficPolicy.egressProxy.host, outboundTrafficPolicy.egressProxy.subset, outboundTrafficPolicy.egressProxy.port.number
  it("sends what no service has to the egress proxy", async () => {
    const echo = await startEcho("egress");
    stops.push(() => echo.stop());
    const mesh = newMesh();
    const entry = resourceYaml(
      "ServiceEntry",
      "out",
      `
hosts: [out.default.svc.cluster.local]
resolution: STATIC
ports: [{ number: 80, name: http, protocol: HTTP, targetPort: ${echo.port} }]
endpoints: [{ address: 127.0.0.1, labels: { version: v1 } }]`,
    );
    const rule = resourceYaml(
      "DestinationRule",
      "out",
      "host: out\nsubsets: [{ name: v1, labels: { version: v1 } }]",
    );
    const policy =
      "outboundTrafficPolicy: { mode: ALLOW_ANY, egressProxy: { host: out, subset: v1, port: { number: 80 } } }";
    await mesh.apply(entry, rule, resourceYaml("Sidecar", "own", policy));
    const proxy = await mesh.proxy();
    const { statusCode, body } = await request(`http://127.0.0.1:${proxy.port("virtualOutbound")}/`, {
      headers: { host: "unknown.example" },
    });
    expect([statusCode, JSON.stringify(await body.json())]).toEqual([
      200,
      expect.stringContaining("unknown.example"),
    ]);
  });
});

function newMesh(): YamlMesh {
  const mesh = new YamlMesh();
  stops.push(() => mesh.stop());
  return mesh;
}

/** A service on port 3306 with a version each that says its name. */
async function database(protocol = "TCP", policy = ""): Promise<string> {
  const endpoints = await Promise.all(
    ["v1", "v2"].map(
      async (version) =>
        `{ address: 127.0.0.1, ports: { db: ${await named(version)} }, labels: { version: ${version} } }`,
    ),
  );
  const entry = `
hosts: [db.default.svc.cluster.local]
resolution: STATIC
ports: [{ number: 3306, name: db, protocol: ${protocol} }]
endpoints: [${endpoints.join(", ")}]`;
  const subsets = "subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }]";
  return [
    resourceYaml("ServiceEntry", "db", entry),
    "---",
    resourceYaml("DestinationRule", "db", `host: db\n${subsets}\n${policy}`),
  ].join("\n");
}

/** Answers the first bytes with its name, and ends. */
async function named(name: string): Promise<number> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    socket.once("data", () => socket.end(name));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  stops.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

async function ask(
  proxy: ProxyApp,
  listener: string,
  question: string | Buffer = "?",
  from: { readonly localAddress?: string } = {},
): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port: proxy.port(listener)!, ...from });
  socket.on("error", () => {});
  socket.write(question);
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  return text;
}
