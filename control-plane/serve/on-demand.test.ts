import { describe, expect, it } from "vitest";
import { typeUrl } from "../../common/xds/type-url.ts";
import { FakeProxy } from "../../test/support/fake-proxy.ts";
import type { SmallMesh } from "../../test/support/xds-mesh.ts";
import { encodeMesh, endpoint } from "../../test/support/xds-mesh.ts";
import { removalHoldMs } from "./session.ts";

const mesh: SmallMesh = {
  clusters: { a: [endpoint("127.0.0.1", 1)], b: [endpoint("127.0.0.1", 2)], any: [], w: [] },
  hosts: { "a.example": "a", "b.example": "b", "*.w.example": "w", "*": "any" },
};

const started = (of: SmallMesh = mesh) => new FakeProxy(of, "delta", "weft", { onDemand: true }).settle();
const name = (host: string) => `http_proxy/${host}`;

describe("a client that asks for virtual hosts by name", () => {
  it("is sent at first what answers for all hosts, with its cluster, and nothing else", () => {
    const proxy = new FakeProxy(mesh, "delta", "weft", { onDemand: true });
    for (const kind of ["cluster", "listener"] as const) proxy.subscribe(kind);
    proxy.subscribe("endpoints", ["*"]);
    proxy.subscribe("route-configuration", ["http_proxy"]);
    proxy.subscribe("virtual-host", ["http_proxy"]);
    proxy.accept();
    expect(proxy.take().sort()).toEqual([
      "cluster",
      "cluster +any",
      "endpoints",
      "endpoints +any",
      "listener +outbound",
      "route-configuration +http_proxy",
      "virtual-host +http_proxy/*",
    ]);
    expect(proxy.settled).toEqual(["v0"]);
  });

  it("is sent a host's cluster, endpoints and routes in one turn, the routes last", () => {
    const proxy = started();
    proxy.subscribe("virtual-host", [name("a.example")]);
    expect(proxy.take()).toEqual(["cluster +a", "endpoints +a", "virtual-host +http_proxy/a.example"]);
  });

  it("learns by which name it asked for what came", () => {
    const proxy = started();
    proxy.subscribe("virtual-host", [name("x.w.example:80")]);
    expect(proxy.last("virtual-host").aliasesOf(name("*.w.example"))).toEqual([name("x.w.example:80")]);
    proxy.accept();
    proxy.take();
    proxy.subscribe("virtual-host", [name("y.w.example")]);
    expect(proxy.take()).toEqual(["virtual-host +http_proxy/*.w.example"]);
    proxy.accept();
    proxy.subscribe("virtual-host", [name("a.example")]);
    expect(proxy.last("virtual-host").aliasesOf(name("a.example"))).toEqual([]);
  });

  it("is told at once that nobody but the one for all answers for a host, also while other answers are on their way", () => {
    const proxy = started();
    proxy.subscribe("cluster", ["*"]);
    proxy.subscribe("virtual-host", [name("nobody.example")]);
    expect(proxy.take()).toEqual(["cluster", "virtual-host -http_proxy/nobody.example"]);
  });

  it("is sent a host that begins to exist when it has asked for it before", () => {
    const proxy = started({ ...mesh, hosts: { "*": "any" } });
    proxy.subscribe("virtual-host", [name("a.example")]);
    proxy.accept();
    proxy.take();
    proxy.push(mesh);
    proxy.accept();
    expect(proxy.take()).toEqual(["cluster +a", "endpoints +a", "virtual-host +http_proxy/a.example"]);
    proxy.push({ ...mesh, hosts: { "*": "any" } });
    proxy.accept();
    expect(proxy.take()).toEqual(["virtual-host -http_proxy/a.example", "cluster -a", "endpoints -a"]);
  });

  it("is sent nothing when only others' hosts change, and counts as in step", () => {
    const proxy = started();
    proxy.subscribe("virtual-host", [name("a.example")]);
    proxy.accept();
    proxy.take();
    proxy.push({ ...mesh, hosts: { ...mesh.hosts, "b.example": "a" } });
    expect(proxy.take()).toEqual([]);
    expect(proxy.settled.at(-1)).toBe("v1");
  });

  it("changes what it runs in the order of all others: clusters are accepted before routes name them", () => {
    const proxy = started();
    proxy.subscribe("virtual-host", [name("a.example")]);
    proxy.accept();
    proxy.take();
    proxy.push({ ...mesh, hosts: { ...mesh.hosts, "a.example": "b" } });
    expect(proxy.take()).toEqual(["cluster +b", "endpoints +b"]);
    proxy.accept(["cluster", "endpoints"]);
    expect(proxy.take()).toEqual(["virtual-host +http_proxy/a.example"]);
    proxy.accept(["virtual-host"]);
    expect(proxy.take()).toEqual(["cluster -a", "endpoints -a"]);
  });

  it("lets a new host wait for what it needs and not for what others need", () => {
    const proxy = started();
    proxy.subscribe("virtual-host", [name("a.example")]);
    proxy.take();
    proxy.accept(["virtual-host"]);
    // The cluster of the first is not ACKed yet, so that of the second can't go.
    proxy.subscribe("virtual-host", [name("b.example")]);
    expect(proxy.take()).toEqual([]);
    proxy.subscribe("virtual-host", [name("nobody.example")]);
    expect(proxy.take()).toEqual(["virtual-host -http_proxy/nobody.example"]);
    proxy.accept(["virtual-host", "cluster"]);
    expect(proxy.take()).toEqual(["cluster +b"]);
    proxy.accept(["endpoints"]);
    expect(proxy.take()).toEqual(["endpoints +b", "virtual-host +http_proxy/b.example"]);
  });

  it("is sent a host that takes the place of another with the other's removal, never before", () => {
    const proxy = started();
    proxy.subscribe("virtual-host", [name("a.example"), name("x.w.example")]);
    proxy.accept();
    proxy.take();
    const { "*.w.example": _, ...hosts } = mesh.hosts;
    proxy.push({ ...mesh, hosts: { ...hosts, "a.example": "b", "x.w.example": "a" } });
    expect(proxy.take()).toEqual(["cluster +b", "endpoints +b"]);
    proxy.accept(["cluster", "endpoints"]);
    expect(proxy.take()).toEqual([
      "virtual-host +http_proxy/a.example +http_proxy/x.w.example -http_proxy/*.w.example",
    ]);
  });

  it("loses what it no longer names, routes first", () => {
    const proxy = started();
    proxy.subscribe("virtual-host", [name("a.example"), name("b.example")]);
    proxy.accept();
    proxy.take();
    proxy.unsubscribe("virtual-host", [name("a.example")]);
    expect(proxy.take()).toEqual(["virtual-host -http_proxy/a.example"]);
    proxy.accept(["virtual-host"]);
    expect(proxy.take()).toEqual(["cluster -a", "endpoints -a"]);
  });

  it("keeps what it comes back with and asks for, and loses the rest once it had the time to ask", async () => {
    const proxy = new FakeProxy(mesh, "delta", "weft", { onDemand: true });
    const resources = encodeMesh(mesh);
    const has = (kind: keyof typeof typeUrl, ...names: string[]) =>
      new Map(names.map((each) => [each, resources.get(typeUrl[kind])!.get(each)!.version]));
    proxy.subscribe("cluster", [], has("cluster", "a", "b", "any"));
    proxy.subscribe("endpoints", ["*"], has("endpoints", "a", "b", "any"));
    proxy.subscribe("listener", [], has("listener", "outbound"));
    proxy.subscribe("route-configuration", ["http_proxy"], has("route-configuration", "http_proxy"));
    proxy.subscribe(
      "virtual-host",
      ["http_proxy", name("a.example")],
      has("virtual-host", name("a.example"), name("b.example"), name("*")),
    );
    proxy.accept();
    await proxy.clock.advance(removalHoldMs);
    proxy.accept();
    expect(proxy.take().filter((line) => line.includes(" "))).toEqual([
      "virtual-host -http_proxy/b.example",
      "cluster -b",
      "endpoints -b",
    ]);
  });

  it("is told that a host is absent whose routes it refused", () => {
    const proxy = started();
    proxy.subscribe("virtual-host", [name("a.example")]);
    proxy.ack("cluster");
    proxy.ack("endpoints");
    proxy.ack("virtual-host", undefined, "http_proxy/a.example is bad");
    proxy.take();
    proxy.subscribe("virtual-host", [name("a.example:80")]);
    expect(proxy.take().at(-1)).toBe("virtual-host -http_proxy/a.example:80");
  });
});
