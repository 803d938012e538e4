import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../common/base/clock.ts";
import { systemRandom } from "../../common/base/random.ts";
import type { ResourceSet } from "../../common/xds/encoded-resource.ts";
import { XdsServer } from "../../control-plane/serve/server.ts";
import type { Rejection, ResourceSink, ResourceUpdate } from "../../proxy/xds/resource-update.ts";
import { XdsClient } from "../../proxy/xds/stream.ts";
import { encodeMesh, endpoint, sidecar } from "../support/xds-mesh.ts";

/** Our proxy's client and our control plane's server over a real socket. */

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

class Recorder implements ResourceSink {
  /** In the order of arrival, such as `cluster +a -b`. */
  readonly log: string[] = [];
  readonly held = new Map<string, unknown>();
  refuse: (update: ResourceUpdate) => readonly Rejection[] = () => [];

  apply(update: ResourceUpdate): readonly Rejection[] {
    const words = [
      ...[...update.updated.keys()].map((name) => `+${name}`),
      ...update.removed.map((name) => `-${name}`),
    ];
    this.log.push([update.type, ...words].join(" "));
    for (const [name, resource] of update.updated) this.held.set(`${update.type} ${name}`, resource.value);
    for (const name of update.removed) this.held.delete(`${update.type} ${name}`);
    return this.refuse(update);
  }
}

async function startServer(first: ResourceSet, port = 0) {
  let resources = first;
  const server = new XdsServer({
    source: { resourcesFor: () => resources },
    clock: systemClock,
    version: "v1",
  });
  const address = await server.listen({ host: "127.0.0.1", port });
  cleanups.push(() => server.stop());
  const push = (version: string, next: ResourceSet) => {
    resources = next;
    server.push(version);
    return server.whenAcked(version);
  };
  return { server, address, push };
}

function startClient(port: number, name = "reviews-v1") {
  const sink = new Recorder();
  const node = sidecar(name);
  const client = new XdsClient({
    servers: [{ host: "127.0.0.1", port }],
    node,
    version: "test",
    sink,
    clock: systemClock,
    random: systemRandom,
  });
  client.start();
  cleanups.push(() => client.stop());
  return { client, sink, node };
}

async function until(condition: () => boolean): Promise<void> {
  await expect.poll(condition, { timeout: 10_000, interval: 5 }).toBe(true);
}

const one = { clusters: { a: [endpoint("127.0.0.1", 1)] }, hosts: { "a.example": "a" } };
const two = { clusters: { b: [endpoint("127.0.0.1", 2)] }, hosts: { "a.example": "b" } };

describe("a proxy and its control plane", () => {
  it("brings everything in an order in which nothing names what is not there", async () => {
    const { address, server } = await startServer(encodeMesh(one));
    const { sink } = startClient(address.port);
    await until(() => sink.held.size === 5);
    expect(sink.log).toEqual([
      "cluster +a",
      "endpoints +a",
      "listener +outbound",
      "route-configuration +http_proxy",
      "virtual-host +http_proxy/a.example",
    ]);
    await until(() => server.proxies()[0]?.version === "v1");
    const [proxy] = server.proxies();
    expect(proxy?.types.get("virtual-host")?.runs.has("http_proxy/a.example")).toBe(true);
  });

  it("makes before it breaks, and knows when a change has arrived", async () => {
    const { address, push } = await startServer(encodeMesh(one));
    const { sink, node } = startClient(address.port);
    await until(() => sink.held.size === 5);
    sink.log.length = 0;
    const outcome = await push("v2", encodeMesh(two));
    expect(outcome.proxies).toEqual([{ node, result: "accepted", refusals: [] }]);
    expect(sink.log).toEqual([
      "cluster +b",
      "endpoints +b",
      "virtual-host +http_proxy/a.example",
      "cluster -a",
      "endpoints -a",
    ]);
  });

  it("sends only endpoints when only endpoints change", async () => {
    const { address, push } = await startServer(encodeMesh(one));
    const { sink } = startClient(address.port);
    await until(() => sink.held.size === 5);
    sink.log.length = 0;
    await push("v2", encodeMesh({ ...one, clusters: { a: [endpoint("127.0.0.1", 9)] } }));
    expect(sink.log).toEqual(["endpoints +a"]);
  });

  it("tells which resource was refused and why, while the others apply", async () => {
    const { address, push, server } = await startServer(encodeMesh(one));
    const { sink } = startClient(address.port);
    await until(() => sink.held.size === 5);
    sink.refuse = (update) =>
      update.updated.has("http_proxy/bad.example")
        ? [{ name: "http_proxy/bad.example", problems: [{ path: "routes[0]", why: "is bad" }] }]
        : [];
    const hosts = { "bad.example": "a", "good.example": "a" };
    const outcome = await push("v2", encodeMesh({ ...one, hosts }));
    expect(outcome.proxies[0]).toMatchObject({
      result: "refused",
      refusals: [
        {
          kind: "virtual-host",
          names: ["http_proxy/bad.example"],
          why: '"http_proxy/bad.example": routes[0]: is bad',
        },
      ],
    });
    const runs = server.proxies()[0]?.types.get("virtual-host")?.runs;
    expect([...(runs?.keys() ?? [])]).toEqual(["http_proxy/good.example"]);
  });

  it("resends nothing that the proxy has when a control plane comes back, and removes what went meanwhile", async () => {
    const first = await startServer(encodeMesh(one));
    const { sink, client } = startClient(first.address.port);
    await until(() => sink.held.size === 5);
    await first.server.stop();
    await until(() => !client.isConnected);
    sink.log.length = 0;
    const mesh = { ...one, hosts: { "c.example": "a" } };
    const second = await startServer(encodeMesh(mesh), first.address.port);
    await until(() => second.server.proxies()[0]?.version === "v1" && sink.log.length > 0);
    expect(sink.log).toEqual(["virtual-host +http_proxy/c.example -http_proxy/a.example"]);
  });

  it("waits for every proxy, and counts one that leaves as gone", async () => {
    const { address, server, push } = await startServer(encodeMesh(one));
    const stays = startClient(address.port, "stays");
    const leaves = startClient(address.port, "leaves");
    await until(() => server.proxies().filter(({ version }) => version === "v1").length === 2);
    let release = () => {};
    leaves.sink.apply = () => new Promise((resolve) => (release = () => resolve([]))) as never;
    const outcome = push("v2", encodeMesh(two));
    await until(() => stays.sink.log.includes("endpoints -a"));
    const stopped = leaves.client.stop();
    release();
    await stopped;
    const results = (await outcome).proxies.map(({ node, result }) => `${node.name} ${result}`);
    expect(results.sort()).toEqual(["leaves disconnected", "stays accepted"]);
  });
});
