import { connect } from "node:http2";
import type { ClientDuplexStream, ServiceError } from "@grpc/grpc-js";
import { Client, credentials, status } from "@grpc/grpc-js";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../common/base/clock.ts";
import type {
  DeltaRequest,
  DeltaResponse,
  DiscoveryRequest,
  DiscoveryResponse,
  OutgoingRequest,
} from "../../common/xds/ads.ts";
import { aggregatedDiscoveryService } from "../../common/xds/ads.ts";
import { decodeCluster } from "../../common/xds/cluster.ts";
import { decodeRouteConfiguration } from "../../common/xds/route.ts";
import { typeUrl } from "../../common/xds/type-url.ts";
import type { SmallMesh } from "../../test/support/xds-mesh.ts";
import { encodeMesh, endpoint, sidecar } from "../../test/support/xds-mesh.ts";
import type { ProxyStatus } from "./proxy-status.ts";
import type { XdsServerEvents, XdsServerLimits } from "./server.ts";
import { XdsServer } from "./server.ts";

/** The server over a real socket, with plain gRPC clients that answer only when a test says so. */

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const mesh: SmallMesh = { clusters: { a: [endpoint("127.0.0.1", 1)] }, hosts: { "a.example": "a" } };

async function start(limits: Partial<XdsServerLimits> = {}, events: XdsServerEvents = {}) {
  let resources = encodeMesh(mesh);
  const source = { resourcesFor: () => resources };
  const server = new XdsServer({ source, clock: systemClock, version: "v1", limits, events });
  const { port } = await server.listen({ host: "127.0.0.1", port: 0 });
  cleanups.push(() => server.stop());
  const push = (version: string, next: SmallMesh) => {
    resources = encodeMesh(next);
    server.push(version);
  };
  return { server, port, push };
}

function client(port: number): Client {
  const made = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
  });
  cleanups.push(() => made.close());
  return made;
}

/** Hands out what comes on a stream, one by one. */
function reader<Response>(stream: ClientDuplexStream<never, Response>) {
  const come: Response[] = [];
  let wake = () => {};
  const ended = new Promise<ServiceError>((resolve) => stream.on("error", resolve));
  stream.on("data", (response: Response) => {
    come.push(response);
    wake();
  });
  cleanups.push(() => stream.cancel());
  const next = async (): Promise<Response> => {
    while (come.length === 0) await new Promise<void>((resolve) => (wake = resolve));
    return come.shift()!;
  };
  return { next, ended };
}

function delta(port: number, name = "p") {
  const { path, requestSerialize, responseDeserialize } = aggregatedDiscoveryService.DeltaAggregatedResources;
  const stream = client(port).makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
  let node: OutgoingRequest<DeltaRequest>["node"] = { proxy: sidecar(name), version: "t" };
  const send = (request: Partial<DeltaRequest>) => {
    const nothing = {
      typeUrl: typeUrl.cluster,
      subscribe: [],
      unsubscribe: [],
      initialVersions: new Map(),
      responseNonce: "",
    };
    stream.write(node ? { ...nothing, ...request, node } : { ...nothing, ...request });
    node = undefined;
  };
  return { stream, send, ...reader<DeltaResponse>(stream as never) };
}

function sotw(port: number) {
  const { path, requestSerialize, responseDeserialize } =
    aggregatedDiscoveryService.StreamAggregatedResources;
  const stream = client(port).makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
  const send = (request: Partial<DiscoveryRequest>) => {
    const nothing = { typeUrl: typeUrl.cluster, resourceNames: [], versionInfo: "", responseNonce: "" };
    stream.write({ ...nothing, ...request, node: { proxy: sidecar("p"), version: "t" } });
  };
  return { stream, send, ...reader<DiscoveryResponse>(stream as never) };
}

/** A proxy whose process hangs after its first request: the connection lives, and nothing is read from it. */
function openUnread(port: number, name: string): void {
  const { path, requestSerialize } = aggregatedDiscoveryService.DeltaAggregatedResources;
  const session = connect(`http://127.0.0.1:${port}`);
  cleanups.push(() => session.destroy());
  session.on("error", () => {});
  const stream = session.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.on("error", () => {});
  const message = requestSerialize({
    typeUrl: typeUrl.cluster,
    subscribe: [],
    unsubscribe: [],
    initialVersions: new Map(),
    responseNonce: "",
    node: { proxy: sidecar(name), version: "t" },
  });
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  stream.write(Buffer.concat([prefix, message]));
}

function servedIn(server: XdsServer): string[] {
  return server
    .proxies()
    .filter(({ types }) => types.get("cluster")?.isAwaitingAnswer)
    .map(({ node }) => node.name);
}

describe("the xDS server", () => {
  it("speaks delta: sends, is answered, and sends only what changed", async () => {
    const { server, port, push } = await start();
    const proxy = delta(port);
    proxy.send({});
    const first = await proxy.next();
    expect(first.resources.map(({ name, bytes }) => [name, decodeCluster(bytes).ok])).toEqual([["a", true]]);
    proxy.send({ responseNonce: first.nonce });
    await expect.poll(() => server.proxies()[0]?.version).toBe("v1");
    push("v2", { ...mesh, clusters: { ...mesh.clusters, b: [] } });
    const second = await proxy.next();
    expect(second.resources.map(({ name }) => name)).toEqual(["b"]);
    expect(second.systemVersion).toBe("v2");
  });

  it("speaks state of the world: the whole type each time, virtual hosts inline", async () => {
    const { port, push } = await start();
    const proxy = sotw(port);
    proxy.send({});
    const first = await proxy.next();
    proxy.send({ responseNonce: first.nonce, versionInfo: first.versionInfo });
    push("v2", { ...mesh, clusters: { ...mesh.clusters, b: [] } });
    const second = await proxy.next();
    expect(second.resources).toHaveLength(2);
    proxy.send({ responseNonce: second.nonce, versionInfo: second.versionInfo });
    proxy.send({ typeUrl: typeUrl["route-configuration"], resourceNames: ["http_proxy"] });
    const routes = await proxy.next();
    expect(decodeRouteConfiguration(routes.resources[0]!)).toMatchObject({
      value: { vhds: false, virtualHosts: [{ name: "a.example" }] },
    });
  });

  it("never lets a proxy that does not answer hold another one", async () => {
    const { server, port, push } = await start();
    const silent = delta(port, "silent");
    silent.send({});
    await silent.next();
    const quick = delta(port, "quick");
    quick.send({});
    quick.send({ responseNonce: (await quick.next()).nonce });
    for (let round = 2; round < 6; round++) {
      push(`v${round}`, { ...mesh, clusters: { ...mesh.clusters, [`c${round}`]: [] } });
      quick.send({ responseNonce: (await quick.next()).nonce });
      await expect
        .poll(() => server.proxies().find(({ node }) => node.name === "quick")?.version)
        .toBe(`v${round}`);
    }
    const status = server.proxies().find(({ node }) => node.name === "silent");
    expect(status?.types.get("cluster")?.isAwaitingAnswer).toBe(true);
    expect(status?.version).toBeUndefined();
  });

  it("tells what happens as it happens", async () => {
    const seen: string[] = [];
    const { port, push } = await start(
      {},
      {
        connected: ({ node }) => seen.push(`connected ${node.name}`),
        disconnected: ({ node }) => seen.push(`disconnected ${node.name}`),
        acked: (_peer, kind) => seen.push(`acked ${kind}`),
        nacked: (_peer, kind, { why }) => seen.push(`nacked ${kind}: ${why}`),
        pushed: ({ version, proxies }) =>
          seen.push(`pushed ${version}: ${proxies.map(({ result }) => result)}`),
      },
    );
    const proxy = delta(port);
    proxy.send({});
    proxy.send({ responseNonce: (await proxy.next()).nonce });
    await expect.poll(() => seen).toContain("acked cluster");
    push("v2", { ...mesh, clusters: { ...mesh.clusters, b: [] } });
    proxy.send({ responseNonce: (await proxy.next()).nonce, error: "no" });
    await expect.poll(() => seen).toContain("pushed v2: refused");
    proxy.stream.end();
    await expect.poll(() => seen.at(-1)).toBe("disconnected p");
    expect(seen).toEqual([
      "connected p",
      "acked cluster",
      "nacked cluster: no",
      "pushed v2: refused",
      "disconnected p",
    ]);
  });

  it("outlives a source that fails, leaves the proxy what it has, and goes on with the next push", async () => {
    const failures: unknown[] = [];
    let fail = false;
    let resources = encodeMesh(mesh);
    const resourcesFor = () => {
      if (fail) throw new Error("no such port");
      return resources;
    };
    const events = { failed: (_peer: unknown, error: unknown) => failures.push(error) };
    const server = new XdsServer({ source: { resourcesFor }, clock: systemClock, version: "v1", events });
    cleanups.push(() => server.stop());
    const { port } = await server.listen({ host: "127.0.0.1", port: 0 });
    const proxy = delta(port);
    proxy.send({});
    proxy.send({ responseNonce: (await proxy.next()).nonce });
    await expect.poll(() => server.proxies()[0]?.version).toBe("v1");
    fail = true;
    server.push("v2");
    await expect.poll(() => failures).toEqual([new Error("no such port")]);
    expect(server.proxies()[0]?.version).toBe("v1");
    fail = false;
    resources = encodeMesh({ ...mesh, clusters: { ...mesh.clusters, b: [] } });
    server.push("v3");
    expect((await proxy.next()).resources.map(({ name }) => name)).toEqual(["b"]);
  });

  it("ends a stream whose first request does not say who it is", async () => {
    const { port } = await start();
    const { path, requestSerialize, responseDeserialize } =
      aggregatedDiscoveryService.DeltaAggregatedResources;
    const stream = client(port).makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    const { ended } = reader(stream as never);
    stream.write({
      typeUrl: typeUrl.cluster,
      subscribe: [],
      unsubscribe: [],
      initialVersions: new Map(),
      responseNonce: "",
    });
    expect((await ended).code).toBe(status.INVALID_ARGUMENT);
  });

  it("ends a stream that sends too large a message or too many names, and serves others on", async () => {
    const { server, port } = await start({ requestBytes: 100_000 });
    const large = delta(port, "large");
    large.send({ subscribe: ["x".repeat(200_000)] });
    expect((await large.ended).code).toBe(status.RESOURCE_EXHAUSTED);
    const long = delta(port, "long");
    long.send({ subscribe: ["x".repeat(5000)] });
    expect((await long.ended).details).toMatch(/longer than 4096/);
    await expect.poll(() => server.proxies()).toEqual([]);
    const good = delta(port);
    good.send({});
    expect((await good.next()).resources).toHaveLength(1);
  });

  it("holds little for readers that take nothing, serves others meanwhile, and closes them in the end", async () => {
    // 3 MB: far more than what sockets and HTTP/2 windows hold of themselves.
    const name = (index: number) => `${index}-${"x".repeat(1500)}`;
    const clusters = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [name(index), []]));
    const resources = encodeMesh({ ...mesh, clusters });
    const events = { disconnected: ({ node }: ProxyStatus) => closed.push(node.name) };
    const closed: string[] = [];
    const server = new XdsServer({
      source: { resourcesFor: () => resources },
      clock: systemClock,
      version: "v1",
      events,
      limits: { unreadBytes: 1_000_000, stallMs: 500 },
    });
    cleanups.push(() => server.stop());
    const { port } = await server.listen({ host: "127.0.0.1", port: 0 });
    openUnread(port, "first");
    await expect.poll(() => servedIn(server)).toEqual(["first"]);
    openUnread(port, "second");
    await expect.poll(() => server.proxies().length).toBe(2);
    expect(servedIn(server)).toEqual(["first"]);
    await expect.poll(() => closed, { timeout: 5000 }).toContain("first");
    const quick = delta(port, "quick");
    quick.send({});
    expect((await quick.next()).resources).toHaveLength(1000);
  });

  it("refuses more streams than it is made for", async () => {
    const { port } = await start({ streams: 1 });
    const first = delta(port, "first");
    first.send({});
    await first.next();
    const second = delta(port, "second");
    second.send({});
    expect((await second.ended).code).toBe(status.RESOURCE_EXHAUSTED);
  });

  it("rejects when its port is taken", async () => {
    const { port } = await start();
    const other = new XdsServer({
      source: { resourcesFor: () => new Map() },
      clock: systemClock,
      version: "v1",
    });
    cleanups.push(() => other.stop());
    await expect(other.listen({ host: "127.0.0.1", port })).rejects.toThrow();
  });
});
