import { describe, expect, it } from "vitest";
import type { DeltaRequest, DeltaResource, OutgoingRequest } from "../../common/xds/ads.ts";
import { decodeResource } from "../../common/xds/decode-resource.ts";
import type { ResourceSet } from "../../common/xds/encoded-resource.ts";
import { encodedResource } from "../../common/xds/encoded-resource.ts";
import { encodeListener } from "../../common/xds/listener.ts";
import type { ResourceKind } from "../../common/xds/type-url.ts";
import { resourceKind, typeUrl } from "../../common/xds/type-url.ts";
import { FakeClock, settle } from "../../test/support/fake-clock.ts";
import { encodeMesh, endpoint, outboundListener, sidecar } from "../../test/support/xds-mesh.ts";
import type { AdsCallHandlers } from "./ads-call.ts";
import type { Rejection, ResourceUpdate } from "./resource-update.ts";
import type { HostsChange, XdsClientParts } from "./stream.ts";
import { XdsClient } from "./stream.ts";

const mesh = { clusters: { a: [endpoint("127.0.0.1", 1)] }, hosts: { "a.example": "a" } };

/** A control plane that says only what a test lets it say. */
class FakeControlPlane {
  readonly clock = new FakeClock();
  readonly requests: OutgoingRequest<DeltaRequest>[] = [];
  readonly applied: string[] = [];
  readonly opened: string[] = [];
  readonly retries: number[] = [];
  readonly client: XdsClient;
  refuse: (update: ResourceUpdate) => readonly Rejection[] | Promise<readonly Rejection[]> = () => [];
  /** What it calls itself. */
  controlPlane: string | undefined;
  handlers: AdsCallHandlers | undefined;
  isClosed = false;
  #nonce = 0;

  constructor(more: Partial<XdsClientParts> = {}) {
    this.client = new XdsClient({
      servers: [{ host: "cp", port: 1 }],
      node: sidecar("p"),
      version: "t",
      clock: this.clock,
      random: () => 0.5,
      sink: {
        apply: (update) => {
          const words = [
            ...[...update.updated.keys()].map((name) => `+${name}`),
            ...update.removed.map((name) => `-${name}`),
          ];
          this.applied.push([update.type, ...words].join(" "));
          return this.refuse(update);
        },
      },
      open: (address, handlers) => {
        this.opened.push(`${address.host}:${address.port}`);
        this.handlers = handlers;
        return { send: (request) => this.requests.push(request), close: () => (this.isClosed = true) };
      },
      events: { disconnected: (_server, _reason, ms) => this.retries.push(ms) },
      ...more,
    });
    this.client.start();
  }

  async respond(
    kind: ResourceKind,
    resources: readonly DeltaResource[],
    removed: readonly string[] = [],
  ): Promise<void> {
    const nonce = `n${++this.#nonce}`;
    const { controlPlane } = this;
    const content = { typeUrl: typeUrl[kind], systemVersion: "v", nonce, resources, removed };
    this.handlers?.onResponse({ ...content, ...(controlPlane !== undefined && { controlPlane }) });
    await settle();
  }

  /** Requests so far as words, such as `cluster ack n1`, `endpoints +a -b`; forgets them. */
  take(): string[] {
    return this.requests.splice(0).map((request) => {
      const names = [
        ...request.subscribe.map((name) => `+${name}`),
        ...request.unsubscribe.map((name) => `-${name}`),
      ];
      const has = Array.from(request.initialVersions.keys(), (name) => `has:${name}`);
      const nonce = request.responseNonce;
      const answer =
        nonce === ""
          ? []
          : [request.error === undefined ? `ack ${nonce}` : `nack ${nonce}: ${request.error}`];
      return [resourceKind(request.typeUrl), ...names, ...has, ...answer].join(" ");
    });
  }

  async sendAll(resources: ResourceSet): Promise<void> {
    for (const [url, named] of resources) await this.respond(resourceKind(url)!, [...named.values()]);
  }
}

const all = (resources: ResourceSet, kind: ResourceKind) => [...resources.get(typeUrl[kind])!.values()];

describe("the stream to a control plane", () => {
  it("asks for all clusters and listeners, says who it is once, and follows names to what they name", async () => {
    const plane = new FakeControlPlane();
    expect(plane.requests.map(({ node }) => node?.proxy.name)).toEqual(["p", undefined]);
    expect(plane.take()).toEqual(["cluster", "listener"]);
    await plane.sendAll(encodeMesh(mesh));
    expect(plane.take()).toEqual([
      "endpoints +a",
      "cluster ack n1",
      "endpoints ack n2",
      "route-configuration +http_proxy",
      "listener ack n3",
      "virtual-host +http_proxy",
      "route-configuration ack n4",
      "virtual-host ack n5",
    ]);
    expect(plane.applied.at(-1)).toBe("virtual-host +http_proxy/a.example");
  });

  it("tells once when everything that it asked for has come", async () => {
    let inStep = 0;
    const plane = new FakeControlPlane({ events: { inStep: () => (inStep += 1) } });
    const resources = [...encodeMesh(mesh)];
    for (const [url, named] of resources) {
      expect(inStep).toBe(0);
      await plane.respond(resourceKind(url)!, [...named.values()]);
    }
    expect(inStep).toBe(1);
    await plane.respond("cluster", [], ["a"]);
    expect(inStep).toBe(1);
  });

  it("drops what nothing names any more, down to the virtual hosts", async () => {
    const plane = new FakeControlPlane();
    await plane.sendAll(encodeMesh(mesh));
    plane.take();
    plane.applied.length = 0;
    await plane.respond("listener", [], ["outbound"]);
    expect(plane.take()).toEqual([
      "route-configuration -http_proxy",
      "virtual-host -http_proxy",
      "listener ack n6",
    ]);
    expect(plane.applied).toEqual([
      "listener -outbound",
      "route-configuration -http_proxy",
      "virtual-host -http_proxy/a.example",
    ]);
    await plane.respond("cluster", [], ["a"]);
    expect(plane.take()).toEqual(["endpoints -a", "cluster ack n7"]);
  });

  it("names every resource that it refuses, undecodable or not usable, and applies the others", async () => {
    const plane = new FakeControlPlane();
    plane.refuse = ({ updated }) =>
      updated.has("unusable")
        ? [
            {
              name: "unusable",
              problems: [
                { path: "x", why: "is bad" },
                { path: "y", why: "too" },
              ],
            },
          ]
        : [];
    const good = all(encodeMesh(mesh), "cluster")[0]!;
    const cluster = (name: string) => all(encodeMesh({ clusters: { [name]: [] }, hosts: {} }), "cluster")[0]!;
    const broken = { name: "broken", version: "1", bytes: Uint8Array.of(255, 255) };
    const misnamed = { ...good, name: "misnamed" };
    plane.take();
    await plane.respond("cluster", [broken, good, cluster("unusable"), misnamed]);
    expect(plane.applied).toEqual(["cluster +a +unusable"]);
    const [subscribed, nack] = plane.take();
    expect(subscribed).toBe("endpoints +a");
    expect(nack?.split("\n")).toEqual([
      expect.stringMatching(/^cluster nack n1: "broken": is not a valid protobuf message/),
      '"misnamed": name: "a" was sent as "misnamed"',
      '"unusable": x: is bad (and 1 more)',
    ]);
  });

  it("refuses everything that the sink failed on", async () => {
    const plane = new FakeControlPlane();
    plane.refuse = () => {
      throw new Error("disk full");
    };
    plane.take();
    await plane.respond("cluster", all(encodeMesh(mesh), "cluster"));
    expect(plane.take()).toEqual(['cluster nack n1: "a": could not be applied: disk full']);
  });

  it("answers in order, each only after its update was applied", async () => {
    const plane = new FakeControlPlane();
    let release = (_: readonly Rejection[]) => {};
    plane.refuse = (update) =>
      update.type === "listener" ? new Promise((resolve) => (release = resolve)) : [];
    plane.take();
    const resources = encodeMesh(mesh);
    await plane.respond("listener", all(resources, "listener"));
    await plane.respond("cluster", all(resources, "cluster"));
    expect(plane.take()).toEqual([]);
    release([]);
    await settle();
    expect(plane.take()).toEqual([
      "route-configuration +http_proxy",
      "listener ack n1",
      "endpoints +a",
      "cluster ack n2",
    ]);
  });

  it("ignores resources that were on their way when it unsubscribed", async () => {
    const plane = new FakeControlPlane();
    const resources = encodeMesh(mesh);
    await plane.sendAll(resources);
    await plane.respond("cluster", [], ["a"]);
    plane.applied.length = 0;
    await plane.respond("endpoints", all(resources, "endpoints"));
    expect(plane.applied).toEqual([]);
  });

  it("comes back with growing delays, for ever, and says what it has", async () => {
    const plane = new FakeControlPlane({
      servers: [
        { host: "one", port: 1 },
        { host: "two", port: 2 },
      ],
    });
    await plane.sendAll(encodeMesh(mesh));
    plane.take();
    for (let attempt = 0; attempt < 11; attempt++) {
      plane.handlers?.onEnd("gone");
      expect(plane.client.isConnected).toBe(false);
      await plane.clock.advance(plane.retries.at(-1)!);
    }
    expect(plane.retries).toEqual([187.5, 187.5, 187.5, 187.5, 375, 750, 1500, 3000, 6000, 7500, 7500]);
    expect(plane.opened.slice(0, 4)).toEqual(["one:1", "two:2", "one:1", "two:2"]);
    expect(plane.take().slice(-5)).toEqual([
      "cluster has:a",
      "endpoints +a has:a",
      "listener has:outbound",
      "route-configuration +http_proxy has:http_proxy",
      "virtual-host +http_proxy has:http_proxy/a.example",
    ]);
    await plane.respond("cluster", []);
    plane.handlers?.onEnd("gone again");
    expect(plane.retries.at(-1)).toBe(187.5);
  });

  it("tells what was restored from disk, so that only the difference is sent", async () => {
    const [cluster] = all(encodeMesh(mesh), "cluster");
    const decoded = decodeResource("cluster", cluster!.bytes);
    if (!decoded.ok) throw new Error("a cluster of our own must decode");
    const updated = new Map([["a", { ...cluster!, value: decoded.value }]]);
    const plane = new FakeControlPlane({ known: [{ type: "cluster", updated, removed: [] }] });
    expect(plane.take()).toEqual(["cluster has:a", "endpoints +a", "listener"]);
  });

  it("keeps the last good version's routes subscribed when a newer listener is refused", async () => {
    const plane = new FakeControlPlane();
    await plane.sendAll(encodeMesh(mesh));
    plane.take();
    plane.refuse = ({ updated }) =>
      [...updated.keys()].map((name) => ({ name, problems: [{ path: "port", why: "is taken" }] }));
    const moved = encodedResource(
      "outbound",
      encodeListener({
        ...outboundListener(1),
        filterChains: [
          { name: "x", http: { statPrefix: "x", routes: { kind: "rds", routeConfigName: "other" } } },
        ],
      }),
    );
    await plane.respond("listener", [moved]);
    expect(plane.take()).toEqual(['listener nack n6: "outbound": port: is taken']);
  });

  it("leaves nothing behind when it stops", async () => {
    const plane = new FakeControlPlane();
    plane.handlers?.onEnd("gone");
    expect(plane.clock.pendingTimers).toBe(1);
    await plane.client.stop();
    expect(plane.clock.pendingTimers).toBe(0);
    plane.client.start();
    await plane.client.stop();
    expect(plane.isClosed).toBe(true);
  });
});

describe("a stream of a proxy that asks on demand", () => {
  const node = { ...sidecar("p"), onDemand: true };
  const ours = (more: Partial<XdsClientParts> = {}) => {
    const plane = new FakeControlPlane({ node, ...more });
    plane.controlPlane = "weft";
    return plane;
  };

  it("leaves it to the control plane which clusters and endpoints it needs, and asks for virtual hosts by name", async () => {
    const changes: HostsChange[] = [];
    const plane = ours({ events: { hosts: (change) => changes.push(change) } });
    expect(plane.requests[0]?.node?.proxy.onDemand).toBe(true);
    expect(plane.take()).toEqual(["cluster", "endpoints +*", "listener"]);
    const resources = encodeMesh(mesh);
    for (const kind of ["cluster", "endpoints", "listener", "route-configuration"] as const)
      await plane.respond(kind, all(resources, kind));
    expect(plane.take().filter((line) => !line.includes("ack"))).toEqual([
      "route-configuration +http_proxy",
      "virtual-host +http_proxy",
    ]);
    plane.client.subscribe(["http_proxy/a", "http_proxy/b"]);
    expect(plane.take()).toEqual(["virtual-host +http_proxy/a +http_proxy/b"]);
    const [host] = all(resources, "virtual-host");
    await plane.respond("virtual-host", [{ ...host!, aliases: ["http_proxy/a"] }], ["http_proxy/b"]);
    expect(plane.applied.at(-1)).toBe("virtual-host +http_proxy/a.example");
    expect(changes).toEqual([
      { updated: new Map([["http_proxy/a.example", ["http_proxy/a"]]]), removed: ["http_proxy/b"] },
    ]);
    plane.client.unsubscribe(["http_proxy/b"]);
    expect(plane.take().at(-1)).toBe("virtual-host -http_proxy/b");
  });

  it("asks again for all names when it comes back", async () => {
    const plane = ours();
    const resources = encodeMesh(mesh);
    await plane.sendAll(resources);
    plane.client.subscribe(["http_proxy/a", "http_proxy/b"]);
    plane.client.unsubscribe(["http_proxy/b"]);
    plane.handlers!.onEnd("gone");
    plane.take();
    await plane.clock.advance(1_000);
    expect(plane.take()).toEqual([
      "cluster has:a",
      "endpoints +* has:a",
      "listener has:outbound",
      "route-configuration +http_proxy has:http_proxy",
      "virtual-host +http_proxy +http_proxy/a has:http_proxy/a.example",
    ]);
  });

  it("takes everything from a control plane that is not Weft's, endpoints by name", async () => {
    const plane = new FakeControlPlane({ node });
    plane.take();
    expect(plane.client.isOnDemand).toBe(true);
    await plane.sendAll(encodeMesh(mesh));
    expect(plane.client.isOnDemand).toBe(false);
    expect(plane.take()).toEqual([
      "endpoints -*",
      "endpoints +a",
      "cluster ack n1",
      "endpoints ack n2",
      "route-configuration +http_proxy",
      "listener ack n3",
      "virtual-host +http_proxy",
      "route-configuration ack n4",
      "virtual-host ack n5",
    ]);
    expect(plane.applied.at(-1)).toBe("virtual-host +http_proxy/a.example");
  });
});
