import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { parseYaml } from "../../control-plane/resources/yaml.ts";
import { generateResources } from "./generate-resources.ts";
import type { LocalMesh } from "./mesh-file.ts";
import { parseMeshFile } from "./mesh-file.ts";
import { fillNotes } from "./notes.ts";
import { takenPorts } from "./port-owner.ts";
import type { PortPlan } from "./port-plan.ts";
import { plannedPorts, planPorts } from "./port-plan.ts";

function mesh(text: string): LocalMesh {
  const parsed = parseMeshFile(text, "mesh.yaml");
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.value;
}

function plan(of: LocalMesh, base?: number): PortPlan {
  const planned = planPorts(of, base);
  if (!planned.ok) throw new Error(JSON.stringify(planned.problems));
  return planned.value;
}

const small = mesh(`kind: LocalMesh
name: small
gateways:
  - { name: gw, ports: { 80: 8080, 8443: 8443 } }
workloads:
  - { name: a, service: a, port: 80, replicas: 2, command: "./a" }
  - { name: b, service: b, port: 80, listen: 3000 }
  - { name: c, service: b, port: 80, listen: 3001, command: [c] }
`);

describe("planPorts", () => {
  it("it gives the control plane its well-known ports, and the file's own ports, by default", () => {
    const { xds, http, gateways, instances } = plan(small);
    expect([xds, http]).toEqual([15010, 15014]);
    expect([...gateways[0]!.servers]).toEqual([
      [80, 8080],
      [8443, 8443],
    ]);
    expect(
      instances.map(({ name, admin, outbound, inbound, app }) => [name, admin, outbound, inbound, app]),
    ).toEqual([
      ["a-1", 15100, 15101, 15106, 15108],
      ["a-2", 15110, 15111, 15116, 15118],
      ["b", 15120, 15121, 15126, 3000],
      ["c", 15130, 15131, 15136, 3001],
    ]);
  });

  it("it moves everything with another base, but not an app that somebody else starts", () => {
    const shop = mesh(readFileSync("examples/shop/mesh.yaml", "utf8"));
    const first = plannedPorts(plan(shop, 20_000)).map(({ port }) => port);
    const second = plannedPorts(plan(shop, 21_000)).map(({ port }) => port);
    expect(new Set(first).size).toBe(first.length);
    expect(second).toEqual(first.map((port) => port + 1000));
    expect(plan(small, 20_000).instances.map(({ app }) => app)).toEqual([20_108, 20_118, 3000, 20_138]);
  });

  it("it refuses ports that do not exist and ports that are wanted twice", () => {
    const high = planPorts(small, 65_500);
    expect(high).toMatchObject({ ok: false });
    expect(JSON.stringify(high)).toContain("choose a lower --port-base");
    const twice = planPorts({
      ...small,
      gateways: [{ ...small.gateways[0]!, ports: new Map([[80, 15010]]) }],
    });
    expect(twice).toMatchObject({
      problems: [
        {
          why: "port 15010 is wanted for the control plane's xDS port and for gateway gw's port for server port 80",
        },
      ],
    });
  });
});

describe("takenPorts", () => {
  it("it says which port is taken, what it was for and who has it", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const taken = await takenPorts([{ port, owner: "the gateway" }]);
    await new Promise((resolve) => server.close(resolve));
    expect(taken).toEqual([
      { port, owner: "the gateway", holder: expect.stringContaining(`pid ${process.pid} (`) },
    ]);
    expect(await takenPorts([{ port, owner: "the gateway" }])).toEqual([]);
  });
});

describe("generateResources", () => {
  it("it makes a service for each name and a workload for each replica's inbound port", () => {
    const files = generateResources(small, plan(small));
    const objects = [...files].flatMap(([file, text]) => parseYaml(text, file).map(({ value }) => value));
    expect(objects).toEqual([
      expect.objectContaining({
        kind: "ServiceEntry",
        metadata: { name: "a", namespace: "default" },
        spec: {
          hosts: ["a.default.svc.cluster.local"],
          location: "MESH_INTERNAL",
          resolution: "STATIC",
          ports: [{ number: 80, name: "http", protocol: "HTTP" }],
          workloadSelector: { labels: { "weft.dev/service": "a" } },
        },
      }),
      expect.objectContaining({ kind: "ServiceEntry", metadata: { name: "b", namespace: "default" } }),
      ...[
        ["a-1", 15106, "a"],
        ["a-2", 15116, "a"],
        ["b", 15126, "b"],
        ["c", 15136, "b"],
      ].map(([name, port, service]) =>
        expect.objectContaining({
          kind: "WorkloadEntry",
          metadata: { name, namespace: "default" },
          spec: expect.objectContaining({
            address: "127.0.0.1",
            ports: { http: port },
            labels: { app: service, "weft.dev/service": service, "security.istio.io/tlsMode": "istio" },
          }),
        }),
      ),
    ]);
  });
});

describe("fillNotes", () => {
  it("it fills in this run's addresses and leaves the shell's own variables", () => {
    const text =
      // biome-ignore lint/suspicious/noTemplateCurlyInString: placeholders are what is tested
      "${gateway.gw} ${gateway.gw.8443} ${outbound.b} ${sidecar.gw} ${weft} ${here} ${HOME} $(seq 3)";
    const fill = (base?: number) =>
      fillNotes(text, { plan: plan(small, base), command: "npx weft", folder: "x" });
    expect(fill()).toBe(
      // biome-ignore lint/suspicious/noTemplateCurlyInString: placeholders are what is tested
      "http://127.0.0.1:8080 http://127.0.0.1:8443 http://127.0.0.1:15121 http://127.0.0.1:15020 npx weft x ${HOME} $(seq 3)",
    );
    expect(fill(20_000)).toMatch(/:20040 .*:20041 .*WEFT_CONTROL_PLANE=127\.0\.0\.1:20014 npx weft/);
  });
});
