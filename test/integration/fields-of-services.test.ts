import { request } from "undici";
import { describe, expect, it } from "vitest";
import type { Endpoint } from "../../common/model/endpoint.ts";
import type { ProxyApp } from "../../proxy/app.ts";
import type { ProxyOptions } from "../../proxy/config.ts";
import type { EchoServer } from "../support/echo-server.ts";
import { sceneOfEachTest } from "../support/scene.ts";
import { onlyPort, resourceYaml } from "../support/yaml-mesh.ts";

/** What each field of ServiceEntry, WorkloadEntry and Sidecar does to a caller's requests. */

const { echo, meshOf } = sceneOfEachTest();

const httpPort = "ports: [{ number: 80, name: http }]";

describe("a ServiceEntry", () => {
  // covers ServiceEntry addresses[]
  it("answers to its virtual addresses", async () => {
    const a = await echo("a");
    const proxy = await caller([staticService(`addresses: [10.9.8.7]`, a)]);
    expect(await by(proxy, "10.9.8.7")).toBe("a");
  });

  // covers ServiceEntry resolution
  it("is found at its endpoints, by DNS, or where the request says", async () => {
    const a = await echo("a");
    const entry = (host: string, resolution: string, endpoints = "") =>
      resourceYaml(
        "ServiceEntry",
        host.replaceAll(/[^a-z0-9]/g, "x"),
        `hosts: ["${host}"]\nports: [{ number: ${a.port}, name: http }]\nresolution: ${resolution}\n${endpoints}`,
      );
    const proxy = await caller([
      entry("fixed.example.com", "STATIC", "endpoints: [{ address: 127.0.0.1 }]"),
      entry("alias.example.com", "DNS", "endpoints: [{ address: localhost }]"),
      entry("localhost", "DNS"),
      entry("*.0.0.1", "NONE"),
    ]);
    for (const host of ["fixed.example.com", "alias.example.com", "localhost", "127.0.0.1"])
      expect([host, await by(proxy, `${host}:${a.port}`)]).toEqual([host, "a"]);
  });

  // covers ServiceEntry endpoints[].weight, endpoints[].address
  it("gives its endpoints their shares", async () => {
    const [a, b] = [await echo("a"), await echo("b")];
    const endpoints = `endpoints:\n- { address: 127.0.0.1, ports: { http: ${a.port} }, weight: 3 }\n- { address: 127.0.0.1, ports: { http: ${b.port} } }`;
    const proxy = await caller([service(endpoints), inTurn]);
    expect(await served(proxy, 20)).toEqual({ a: 15, b: 5 });
  });

  // covers ServiceEntry exportTo[]
  it("is known only in the namespaces that it is exported to", async () => {
    const own = [
      staticService("exportTo: ['.']", await echo("a")),
      registryOnly,
      registryOnly.replace("name: all", "name: all, namespace: team"),
    ];
    expect(await by(await caller(own), "svc")).toBe("a");
    expect(await by(await caller(own, { namespace: "team" }), "svc.default.svc.cluster.local")).toBe(502);
    const shared = own.map((text) => text.replace("'.'", "team"));
    expect(await by(await caller(shared, { namespace: "team" }), "svc.default.svc.cluster.local")).toBe("a");
  });

  // covers ServiceEntry workloadSelector.labels{}
  // covers WorkloadEntry address, ports{}, labels{}, weight
  it("selects WorkloadEntries by label, each with its address, port and share", async () => {
    const [a, b, c] = [await echo("a"), await echo("b"), await echo("c")];
    const workload = ({ name, port }: EchoServer, app: string, weight: number) =>
      resourceYaml(
        "WorkloadEntry",
        name,
        `address: 127.0.0.1\nports: { http: ${port} }\nlabels: { app: ${app} }\nweight: ${weight}`,
      );
    const selected = service("workloadSelector: { labels: { app: one } }");
    const proxy = await caller([
      selected,
      inTurn,
      workload(a, "one", 1),
      workload(b, "one", 3),
      workload(c, "two", 1),
    ]);
    expect(await served(proxy, 20)).toEqual({ a: 5, b: 15 });
  });

  // covers WorkloadEntry locality
  it("selects WorkloadEntries that are near or far", async () => {
    const [a, b] = [await echo("a"), await echo("b")];
    const workload = ({ name, port }: EchoServer, locality: string) =>
      resourceYaml(
        "WorkloadEntry",
        name,
        `address: 127.0.0.1\nports: { http: ${port} }\nlabels: { app: one }\nlocality: ${locality}`,
      );
    const selected = service("workloadSelector: { labels: { app: one } }");
    const near = inTurn.replace("ROUND_ROBIN", "ROUND_ROBIN, localityLbSetting: { enabled: true }");
    const all = [selected, near, workload(a, "eu/a"), workload(b, "us/b")];
    expect(await served(await caller(all, { locality: "us/b" }), 10)).toEqual({ b: 10 });
  });

  // covers ServiceEntry endpoints[].serviceAccount
  // covers WorkloadEntry serviceAccount
  it("tells the caller as whom its workloads run", async () => {
    const accounts = async (...texts: readonly string[]) => {
      const { received } = (await caller(texts)).config();
      const all: Endpoint[] = [...received.endpoints.values()].flatMap(({ value }) => value.endpoints);
      return all.map(({ workload }) => workload?.serviceAccount);
    };
    const own = service("endpoints: [{ address: 127.0.0.1, serviceAccount: seller }]");
    expect(await accounts(own)).toEqual(["seller"]);
    const workload = resourceYaml(
      "WorkloadEntry",
      "w",
      "address: 127.0.0.1\nlabels: { app: one }\nserviceAccount: buyer",
    );
    expect(await accounts(service("workloadSelector: { labels: { app: one } }"), workload)).toEqual([
      "buyer",
    ]);
  });
});

describe("a Sidecar", () => {
  // covers Sidecar egress[].hosts[], outboundTrafficPolicy.mode
  it("brings the services that its hosts name, and says what becomes of others", async () => {
    const a = await echo("a");
    const services = [
      staticService("", a),
      staticService("", a).replace("hosts: [svc]", "hosts: [other]").replace("name: svc", "name: other"),
    ];
    const sidecar = (mode: string) =>
      resourceYaml(
        "Sidecar",
        "all",
        `egress: [{ hosts: ["./svc.default.svc.cluster.local"] }]\noutboundTrafficPolicy: { mode: ${mode} }`,
      );
    const strict = await caller([...services, sidecar("REGISTRY_ONLY")]);
    expect([
      await by(strict, "svc"),
      await by(strict, "other"),
      await by(strict, `localhost:${a.port}`),
    ]).toEqual(["a", 502, 502]);
    const open = await caller([...services, sidecar("ALLOW_ANY")]);
    expect([await by(open, "svc"), await by(open, `localhost:${a.port}`)]).toEqual(["a", "a"]);
  });

  // covers Sidecar workloadSelector.labels{}
  it("holds for the workloads that it selects", async () => {
    const all = [
      staticService("", await echo("a")),
      registryOnly.replace(
        "spec:",
        "spec:\n  workloadSelector: { labels: { app: web } }\n  egress: [{ hosts: ['none/*'] }]",
      ),
    ];
    expect(await by(await caller(all, { labels: "app=web" }), "svc")).toBe(502);
    expect(await by(await caller(all, { labels: "app=job" }), "svc")).toBe("a");
  });
});

const registryOnly = resourceYaml("Sidecar", "all", "outboundTrafficPolicy: { mode: REGISTRY_ONLY }");
const inTurn = resourceYaml(
  "DestinationRule",
  "svc",
  "host: svc\ntrafficPolicy: { loadBalancer: { simple: ROUND_ROBIN } }",
);

/** The service `svc` with these fields more. */
function service(more: string): string {
  return resourceYaml(
    "ServiceEntry",
    "svc",
    `hosts: [svc]\nlocation: MESH_INTERNAL\nresolution: STATIC\n${httpPort}\n${more}`,
  );
}

function staticService(more: string, { port }: EchoServer): string {
  return service(`endpoints: [{ address: 127.0.0.1, ports: { http: ${port} } }]\n${more}`);
}

async function caller(texts: readonly string[], options: Partial<ProxyOptions> = {}): Promise<ProxyApp> {
  const mesh = await meshOf(...texts);
  return mesh.proxy(options);
}

/** Who answered, or with which status. */
async function by(proxy: ProxyApp, host: string): Promise<unknown> {
  const { headers, statusCode, body } = await request(`http://127.0.0.1:${onlyPort(proxy)}/`, {
    headers: { host },
  });
  await body.dump();
  return headers["x-served-by"] ?? statusCode;
}

async function served(proxy: ProxyApp, count: number): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let index = 0; index < count; index++) {
    const name = String(await by(proxy, "svc"));
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}
