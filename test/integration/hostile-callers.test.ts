import { connect } from "node:http2";
import { connect as connectTcp } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../common/base/clock.ts";
import { seededRandom } from "../../common/base/random.ts";
import type { DeltaRequest, OutgoingRequest } from "../../common/xds/ads.ts";
import { aggregatedDiscoveryService } from "../../common/xds/ads.ts";
import { leaseService } from "../../common/xds/lease-service.ts";
import { typeUrl } from "../../common/xds/type-url.ts";
import { defaultCallerLimits } from "../../control-plane/serve/callers.ts";
import { LeaseLedger } from "../../control-plane/serve/lease-ledger.ts";
import type { XdsServerLimits } from "../../control-plane/serve/server.ts";
import { XdsServer } from "../../control-plane/serve/server.ts";
import type { SmallMesh } from "../support/xds-mesh.ts";
import { encodeMesh, endpoint, sidecar } from "../support/xds-mesh.ts";

/** Callers that take too much of the control plane, by raw HTTP/2 and gRPC frames; beside each a proxy that behaves. */
const delta = aggregatedDiscoveryService.DeltaAggregatedResources;
const sotw = aggregatedDiscoveryService.StreamAggregatedResources;
const mesh: SmallMesh = { clusters: { a: [endpoint("127.0.0.1", 1)] }, hosts: { "a.example": "a" } };
const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(limits: Partial<XdsServerLimits> = {}) {
  let resources = encodeMesh(mesh);
  const refused: string[] = [];
  const leases = new LeaseLedger(systemClock);
  const server = new XdsServer({
    source: { resourcesFor: () => resources },
    clock: systemClock,
    version: "v1",
    limits: { perCaller: { ...defaultCallerLimits, onLoopback: 1 }, ...limits },
    events: { refused: (_address, why) => refused.push(why) },
    leases,
  });
  const { port } = await server.listen({ host: "0.0.0.0", port: 0 });
  cleanups.push(() => server.stop());
  const push = (version: string, next: SmallMesh) => {
    resources = encodeMesh(next);
    server.push(version);
  };
  return { server, port, push, refused, leases };
}

function framed(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function ask(request: Partial<OutgoingRequest<DeltaRequest>>): Buffer {
  const nothing = {
    typeUrl: typeUrl.cluster,
    subscribe: [],
    unsubscribe: [],
    initialVersions: new Map(),
    responseNonce: "",
  };
  return framed(delta.requestSerialize({ ...nothing, ...request }));
}

const node = (name: string) => ({ proxy: sidecar(name), version: "t" });

/** A connection from one of this machine's addresses; the limits count by it. */
function dial(port: number, from = "127.0.0.1") {
  const session = connect(`http://127.0.0.1:${port}`, {
    createConnection: () => connectTcp({ host: "127.0.0.1", port, localAddress: from }),
  });
  cleanups.push(() => session.destroy());
  session.on("error", () => {});
  return {
    open(path: string = delta.path) {
      const stream = session.request({
        ":method": "POST",
        ":path": path,
        "content-type": "application/grpc",
        te: "trailers",
      });
      stream.on("error", () => {});
      let bytes = 0;
      stream.on("data", (chunk: Buffer) => (bytes += chunk.length));
      const status = new Promise<string>((resolve) => {
        const note = (headers: Record<string, unknown>) => {
          if (headers["grpc-status"] !== undefined)
            resolve(`${headers["grpc-status"]} ${decodeURIComponent(String(headers["grpc-message"] ?? ""))}`);
        };
        stream.on("response", note).on("trailers", note);
        stream.once("close", () => resolve("reset"));
      });
      return { stream, status, received: () => bytes };
    },
  };
}

/** A proxy that behaves, at an address of its own, gets a change within the time given. */
async function expectServed(
  port: number,
  push: (version: string, next: SmallMesh) => void,
  withinMs = 2_000,
): Promise<void> {
  const { stream, received } = dial(port, "127.0.0.9").open();
  stream.write(ask({ node: node("good") }));
  await expect.poll(received).toBeGreaterThan(0);
  stream.write(ask({ responseNonce: "1" }));
  const before = received();
  const began = performance.now();
  push("v2", { ...mesh, clusters: { ...mesh.clusters, b: [] } });
  await expect.poll(received, { interval: 5, timeout: 10_000 }).toBeGreaterThan(before);
  expect(performance.now() - began).toBeLessThan(withinMs);
}

describe("a caller that takes too much", { skip: process.platform !== "linux" }, () => {
  it("case 48: has no more streams than a caller may, of whatever kind, while others are served", async () => {
    const { server, port, push, refused } = await start({
      perCaller: { ...defaultCallerLimits, streams: 3, onLoopback: 1 },
    });
    const connections = [dial(port), dial(port)];
    const open = [0, 1].map((index) => connections[index]!.open());
    for (const { stream } of open) stream.write(ask({ node: node("greedy") }));
    await expect.poll(() => server.proxies().length).toBe(2);
    const lease = connections[0]!.open(leaseService.Lease.path);
    lease.stream.write(
      framed(leaseService.Lease.requestSerialize({ proxy: "greedy", applied: 0, rules: [] })),
    );
    await expect.poll(lease.received).toBeGreaterThan(0);
    const fourth = connections[1]!.open();
    fourth.stream.write(ask({ node: node("greedy") }));
    const why = "127.0.0.1 has 3 streams open already, which is the most for one caller";
    expect(await fourth.status).toBe(`8 ${why}`);
    expect(refused).toEqual([why]);
    await expectServed(port, push);
    open[0]!.stream.destroy();
    await expect.poll(() => server.proxies().length).toBe(2);
    const again = connections[1]!.open();
    again.stream.write(ask({ node: node("greedy") }));
    await expect.poll(again.received).toBeGreaterThan(0);
  });

  it("holds no more names than a caller may, over all its streams", async () => {
    const { port, push } = await start({
      perCaller: { ...defaultCallerLimits, nameLength: 100_000, onLoopback: 1 },
    });
    const connection = dial(port);
    const names = Array.from({ length: 60 }, (_, index) => `${index}-${"x".repeat(997)}`);
    const first = connection.open();
    first.stream.write(ask({ node: node("greedy"), typeUrl: typeUrl.endpoints, subscribe: names }));
    await expect.poll(first.received).toBeGreaterThan(0);
    const second = connection.open();
    second.stream.write(ask({ node: node("greedy"), typeUrl: typeUrl.endpoints, subscribe: names }));
    expect(await second.status).toBe("8 the caller's streams hold too many names together");
    await expectServed(port, push);
  });

  it("is closed when it claims to have too much, or is too large itself", async () => {
    const { port, push } = await start();
    const versions = new Map(Array.from({ length: 50_001 }, (_, index) => [`n${index}`, "v"]));
    const claims = dial(port).open();
    claims.stream.write(ask({ node: node("claims"), initialVersions: versions }));
    expect(await claims.status).toMatch(/^8 more than 50000 versions of resources of cluster/);
    const large = dial(port).open();
    const labels = { padding: "x".repeat(100_000) };
    large.stream.write(ask({ node: { ...node("large"), proxy: { ...sidecar("large"), labels } } }));
    expect(await large.status).toMatch(/^8 the node has more than 65536 characters/);
    await expectServed(port, push);
  });

  it("is read no faster than its pace: a flood waits in its own buffers", async () => {
    const { server, port, push } = await start({ requests: { burst: 100, perSecond: 50 } });
    const { stream, received } = dial(port).open();
    stream.write(ask({ node: node("flood") }));
    await expect.poll(received).toBeGreaterThan(0);
    const nack = ask({ responseNonce: "stale", error: "x".repeat(1_000) });
    const flood = Buffer.concat(Array(20_000).fill(nack));
    let isTaken = false;
    stream.write(flood, () => (isTaken = true));
    await expectServed(port, push);
    expect(isTaken).toBe(false);
    expect(server.proxies().find(({ node: { name } }) => name === "flood")).toBeDefined();
  });

  it("may refuse everything for megabytes of reasons, and holds nobody up", async () => {
    const clusters = Object.fromEntries(
      Array.from({ length: 2_000 }, (_, index) => [`cluster-${index}`, []]),
    );
    const { server, port, push } = await start();
    push("v1", { ...mesh, clusters });
    const { stream, received } = dial(port).open();
    stream.write(ask({ node: node("nay") }));
    await expect.poll(received).toBeGreaterThan(0);
    stream.write(ask({ responseNonce: "1", error: "no ".repeat(1_000_000) }));
    await expectServed(port, push);
    const nack = () => {
      const status = server.proxies().find(({ node: { name } }) => name === "nay");
      const { resources, why } = status?.types.get("cluster")?.lastNack ?? {};
      return [resources?.size, why?.length];
    };
    await expect.poll(nack, { timeout: 5_000 }).toEqual([2_000, 16 * 1024 + 1]);
  });

  it("cannot swell a small compressed message into a large one", async () => {
    const { gzipSync } = await import("node:zlib");
    const { port, push } = await start();
    const session = connect(`http://127.0.0.1:${port}`);
    cleanups.push(() => session.destroy());
    const stream = session.request({
      ":method": "POST",
      ":path": delta.path,
      "content-type": "application/grpc",
      "grpc-encoding": "gzip",
      te: "trailers",
    });
    stream.on("error", () => {});
    const bomb = framed(gzipSync(Buffer.alloc(100 * 1024 * 1024)));
    bomb[0] = 1;
    stream.resume();
    stream.write(bomb);
    const status = await new Promise<string>((resolve) => {
      const note = (headers: Record<string, unknown>) => {
        if (headers["grpc-status"] !== undefined) resolve(String(headers["grpc-status"]));
      };
      stream.on("response", note).on("trailers", note);
      stream.once("close", () => resolve("reset"));
    });
    expect(status).toBe("8");
    await expectServed(port, push);
  });

  it("may send any bytes at all: its stream ends, or they mean nothing, and the others are served", async () => {
    const { port, push } = await start();
    const random = seededRandom(48);
    const connection = dial(port);
    const ends = Array.from({ length: 60 }, (_, index) => {
      const { stream, status } = connection.open([delta.path, sotw.path, leaseService.Lease.path][index % 3]);
      const bytes = Buffer.from(Array.from({ length: 1 + (index % 40) }, () => Math.floor(random() * 256)));
      stream.end(index % 2 === 0 ? framed(bytes) : bytes);
      return status;
    });
    expect(await Promise.all(ends)).toHaveLength(60);
    await expectServed(port, push);
  });

  it("gets no replies to reports beyond what it reads", async () => {
    const { port, leases } = await start();
    const session = connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 1 } });
    cleanups.push(() => session.destroy());
    session.on("error", () => {});
    const stream = session.request({
      ":method": "POST",
      ":path": leaseService.Lease.path,
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.on("error", () => {});
    let reports = 0;
    const report = leases.report.bind(leases);
    leases.report = (what) => {
      reports += 1;
      return report(what);
    };
    const rules = Array.from({ length: 50 }, (_, index) => ({
      rule: `r${index}`,
      perSecond: 1,
      burst: 1,
      proxies: 0,
      keys: [],
    }));
    const one = framed(leaseService.Lease.requestSerialize({ proxy: "p", applied: 0, rules }));
    for (let count = 0; count < 150; count++) stream.write(one);
    await expect.poll(() => reports).toBeGreaterThan(0);
    const { port: other, push } = await start();
    await expectServed(other, push);
    expect(reports).toBeLessThan(60);
  });
});
