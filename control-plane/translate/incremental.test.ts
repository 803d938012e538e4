import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ProxyNode } from "../../common/model/node.ts";
import { typeUrl } from "../../common/xds/type-url.ts";
import { decodeText } from "../resources/decode-text.ts";
import type { Resource } from "../resources/resource.ts";
import { buildSnapshot } from "../snapshot/build.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import { encodeResources } from "./encode.ts";
import { translate } from "./translate.ts";

const hosts = ["a", "b", "c"];
const namespaces = ["one", "two"];

/** Any small mesh: which services, endpoints, rules there are, and what they say, is chance. */
const resources: fc.Arbitrary<readonly Resource[]> = fc
  .record({
    services: fc.subarray(hosts.flatMap((host) => namespaces.map((namespace) => ({ host, namespace })))),
    exported: fc.boolean(),
    ports: fc.subarray([80, 81], { minLength: 1 }),
    addresses: fc.subarray(["10.0.0.1", "10.0.0.2", "10.0.0.3"], { minLength: 1 }),
    balancer: fc.constantFrom<object>(
      { simple: "ROUND_ROBIN" },
      { simple: "RANDOM" },
      { simple: "PASSTHROUGH" },
      { consistentHash: { httpHeaderName: "x-user" } },
      { consistentHash: { useSourceIp: true }, localityLbSetting: { failover: [{ from: "eu", to: "us" }] } },
      { localityLbSetting: { distribute: [{ from: "eu", to: { eu: 90, us: 10 } }] } },
    ),
    ruled: fc.subarray(["a.one.svc.cluster.local", "*.two.svc.cluster.local"]),
    routed: fc.array(
      fc.record({
        name: fc.constantFrom("x", "y", "z"),
        namespace: fc.constantFrom(...namespaces),
        host: fc.constantFrom("a", "b", "localhost", "*.one.svc.cluster.local", "www.example.com", "a.one"),
        rule: fc.constantFrom("r1", "r2"),
        label: fc.constantFrom("", "v1", "v2"),
        to: fc.constantFrom("a.one.svc.cluster.local", "b.two.svc.cluster.local"),
      }),
      { maxLength: 4 },
    ),
  })
  .map(({ services, exported, ports, addresses, balancer, ruled, routed }) =>
    decode([
      ...services.map(({ host, namespace }) => ({
        kind: "ServiceEntry",
        metadata: { name: host, namespace },
        spec: {
          hosts: [`${host}.${namespace}.svc.cluster.local`],
          location: "MESH_INTERNAL",
          resolution: "STATIC",
          ...(exported ? {} : { exportTo: ["."] }),
          ports: ports.map((number) => ({ number, name: `http-${number}`, protocol: "HTTP" })),
          endpoints: addresses.map((address) => ({
            address,
            labels: { version: "v1" },
            locality: address.endsWith("1") ? "eu/a" : "us/a",
          })),
        },
      })),
      ...ruled.map((host, index) => ({
        kind: "DestinationRule",
        metadata: { name: `rule-${index}`, namespace: host.includes("one") ? "one" : "two" },
        spec: {
          host,
          trafficPolicy: { loadBalancer: balancer },
          subsets: [{ name: "v1", labels: { version: "v1" } }],
        },
      })),
      ...distinct(routed).map((route) => ({
        kind: "VirtualService",
        metadata: { name: route.name, namespace: route.namespace },
        spec: {
          hosts: [route.host],
          http: [
            {
              name: route.rule,
              ...(route.label === "" ? {} : { match: [{ sourceLabels: { version: route.label } }] }),
              route: [{ destination: { host: route.to } }],
            },
          ],
        },
      })),
    ]),
  );

const nodes = namespaces.flatMap((namespace) => ["v1", "v2"].map((version) => sidecar(namespace, version)));

describe("translate", () => {
  it("gives after any series of changes what it gives for the last picture alone", () => {
    fc.assert(
      fc.property(fc.array(resources, { minLength: 2, maxLength: 6 }), (series) => {
        let snapshot: Snapshot | undefined;
        for (const step of series) {
          snapshot = buildSnapshot(step, snapshot);
          for (const node of nodes) translate(snapshot, node);
        }
        const alone = buildSnapshot(snapshot!.resources);
        for (const node of nodes) expect(readable(snapshot!, node)).toEqual(readable(alone, { ...node }));
      }),
      { numRuns: 150 },
    );
  });

  it("gives what did not change as the same objects, to one proxy and to its neighbours, also as bytes", () => {
    fc.assert(
      fc.property(resources, resources, (first, second) => {
        const before = buildSnapshot(first);
        // Other rules over the same services: the clusters of a service that changed itself are built anew.
        const isService = ({ kind }: Resource) => kind === "ServiceEntry";
        const mixed = [...first.filter(isService), ...second.filter((resource) => !isService(resource))];
        const after = buildSnapshot(mixed, before);
        for (const node of nodes.slice(0, 1)) {
          const [old, next] = [before, after].map((snapshot) => translate(snapshot, node));
          for (const part of ["clusters", "endpoints", "listeners", "virtualHosts"] as const) {
            for (const [name, value] of next![part]) {
              const same = old![part].get(name);
              if (JSON.stringify(same) === JSON.stringify(value)) expect(value, name).toBe(same);
            }
          }
          const [own, neighbours] = [node, { ...node, name: "other" }].map((asker) =>
            encodeResources(translate(after, asker)),
          );
          for (const kind of ["endpoints", "virtual-host"] as const) {
            expect(own!.get(typeUrl[kind])).toBe(neighbours!.get(typeUrl[kind]));
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  it("leaves a virtual host alone when another one's rules change", () => {
    const entry = (host: string) => ({
      kind: "ServiceEntry",
      metadata: { name: host, namespace: "one" },
      spec: {
        hosts: [`${host}.one.svc.cluster.local`],
        location: "MESH_INTERNAL",
        resolution: "STATIC",
        ports: [{ number: 80, name: "http", protocol: "HTTP" }],
        endpoints: [{ address: "10.0.0.1" }],
      },
    });
    const virtual = (name: string) => ({
      kind: "VirtualService",
      metadata: { name: "a", namespace: "one" },
      spec: { hosts: ["a"], http: [{ name, route: [{ destination: { host: "b" } }] }] },
    });
    const node = sidecar("one", "v1");
    const first = buildSnapshot(decode([entry("a"), entry("b"), virtual("r1")]));
    const before = translate(first, node);
    const after = translate(buildSnapshot(decode([entry("a"), entry("b"), virtual("r2")]), first), node);
    expect(after.clusters).toBe(before.clusters);
    expect(after.endpoints).toBe(before.endpoints);
    const changed = [...after.virtualHosts].filter(([name, host]) => before.virtualHosts.get(name) !== host);
    expect(changed.map(([name]) => name)).toEqual(["http_proxy/a.one.svc.cluster.local:80"]);
  });
});

function decode(objects: Iterable<object>): readonly Resource[] {
  const documents = [...objects].map((object) =>
    JSON.stringify({ apiVersion: "networking.istio.io/v1", ...object }),
  );
  const decoded = decodeText(documents.join("\n---\n"), "mesh.yaml");
  expect(decoded.problems.filter(({ severity }) => severity !== "warning")).toEqual([]);
  return decoded.resources;
}

/** The last of those with one name. */
function distinct<T extends { readonly namespace: string; readonly name: string }>(all: readonly T[]): T[] {
  return [...new Map(all.map((one) => [`${one.namespace}/${one.name}`, one])).values()];
}

function sidecar(namespace: string, version: string): ProxyNode {
  return {
    id: `sidecar~127.0.0.1~app.${namespace}~x`,
    kind: "sidecar",
    name: "app",
    namespace,
    serviceAccount: "default",
    labels: { version },
    locality: { region: version === "v1" ? "eu" : "us", zone: "a", subzone: "" },
    bindings: {
      outbound: { host: "127.0.0.1", port: 15_001 },
      inbound: { host: "10.0.0.1", port: 80 },
      app: { host: "127.0.0.1", port: 8080 },
      servers: new Map(),
    },
  };
}

function readable(snapshot: Snapshot, node: ProxyNode): Record<string, unknown> {
  const { clusters, endpoints, listeners, virtualHosts, skipped } = translate(snapshot, node);
  const sorted = <T>(map: ReadonlyMap<string, T>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    clusters: sorted(clusters),
    endpoints: sorted(endpoints),
    listeners: sorted(listeners),
    virtualHosts: sorted(virtualHosts),
    skipped: skipped.map((rule) => JSON.stringify(rule)).sort(),
  };
}
