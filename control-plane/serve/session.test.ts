import { describe, expect, it } from "vitest";
import { decodeRouteConfiguration } from "../../common/xds/route.ts";
import { typeUrl } from "../../common/xds/type-url.ts";
import { FakeProxy } from "../../test/support/fake-proxy.ts";
import type { SmallMesh } from "../../test/support/xds-mesh.ts";
import { encodeMesh, endpoint } from "../../test/support/xds-mesh.ts";
import type { SessionResponse } from "./session.ts";
import { removalHoldMs } from "./session.ts";
import { maxSubscribedNames } from "./subscriptions.ts";

const one: SmallMesh = { clusters: { a: [endpoint("127.0.0.1", 1)] }, hosts: { "a.example": "a" } };
const two: SmallMesh = { clusters: { b: [endpoint("127.0.0.1", 2)] }, hosts: { "a.example": "b" } };

const namesOf = (response: SessionResponse) => Array.from(response.all(), ({ name }) => name);

describe("a delta stream", () => {
  it("sends listeners only after clusters and their endpoints were accepted, then routes, then virtual hosts", () => {
    const proxy = new FakeProxy(one);
    proxy.subscribe("cluster");
    proxy.subscribe("listener");
    expect(proxy.take()).toEqual(["cluster +a"]);
    proxy.subscribe("endpoints", ["a"]);
    proxy.ack("cluster", "1");
    expect(proxy.take()).toEqual(["endpoints +a"]);
    proxy.ack("endpoints", "2");
    expect(proxy.take()).toEqual(["listener +outbound"]);
    proxy.subscribe("route-configuration", ["http_proxy"]);
    expect(proxy.take()).toEqual([]);
    proxy.ack("listener", "3");
    expect(proxy.take()).toEqual(["route-configuration +http_proxy"]);
    proxy.subscribe("virtual-host", ["http_proxy"]);
    proxy.ack("route-configuration", "4");
    expect(proxy.take()).toEqual(["virtual-host +http_proxy/a.example"]);
    proxy.ack("virtual-host", "5");
    expect(proxy.settled).toEqual(["v0"]);
  });

  it("holds listeners and routes of a push back until what they name is accepted", () => {
    const proxy = new FakeProxy(one).settle();
    proxy.push({ ...two, listenerPort: 15_002 });
    expect(proxy.take()).toEqual(["cluster +b", "endpoints +b"]);
    proxy.push({ ...two, listenerPort: 15_002 });
    proxy.ack("endpoints", "7");
    expect(proxy.take()).toEqual([]);
    proxy.ack("cluster", "6");
    expect(proxy.take()).toEqual(["listener +outbound"]);
    proxy.ack("listener", "8");
    expect(proxy.take()).toEqual(["virtual-host +http_proxy/a.example"]);
    proxy.ack("virtual-host", "9");
    expect(proxy.take()).toEqual(["cluster -a", "endpoints -a"]);
  });

  it("removes nothing that a route may still name while the route's removal is not answered", () => {
    const proxy = new FakeProxy(one).settle();
    proxy.push({ clusters: {}, hosts: {} });
    expect(proxy.take()).toEqual(["virtual-host -http_proxy/a.example"]);
    proxy.ack("virtual-host", "6");
    expect(proxy.take()).toEqual(["cluster -a", "endpoints -a"]);
  });

  it("sends changed endpoints at once, also while routes are on their way", () => {
    const proxy = new FakeProxy(one).settle();
    const moved = { ...one, hosts: { "b.example": "a" } };
    proxy.push(moved);
    expect(proxy.take()).toEqual(["virtual-host +http_proxy/b.example -http_proxy/a.example"]);
    proxy.push({ ...moved, clusters: { a: [endpoint("127.0.0.1", 5)] } });
    expect(proxy.take()).toEqual(["endpoints +a"]);
  });

  it("does not let mere changes of endpoints hold routes up", () => {
    const proxy = new FakeProxy(one).settle();
    proxy.push({ clusters: { a: [endpoint("127.0.0.1", 5)] }, hosts: { "b.example": "a" } });
    expect(proxy.take()).toEqual([
      "endpoints +a",
      "virtual-host +http_proxy/b.example -http_proxy/a.example",
    ]);
  });

  it("merges all pushes that happen while a proxy has not answered into one", () => {
    const proxy = new FakeProxy(one).settle();
    const fetched = proxy.fetches;
    for (let port = 10; port < 20; port++) {
      proxy.push({ ...one, clusters: { a: [endpoint("127.0.0.1", port)] } });
    }
    expect(proxy.take()).toEqual(["endpoints +a"]);
    proxy.ack("endpoints", "6");
    expect(proxy.take()).toEqual(["endpoints +a"]);
    proxy.ack("endpoints", "7");
    expect(proxy.take()).toEqual([]);
    expect(proxy.settled.at(-1)).toBe("v10");
    expect(proxy.fetches - fetched).toBe(10);
  });

  it("waits with everything while the stream's buffer is full, and then sends only the latest", () => {
    const proxy = new FakeProxy(one).settle();
    proxy.accepts = false;
    proxy.push({ ...one, clusters: { a: [endpoint("127.0.0.1", 10)] } });
    expect(proxy.take()).toEqual(["endpoints +a"]);
    const fetched = proxy.fetches;
    proxy.ack("endpoints", "6");
    for (let port = 11; port < 20; port++)
      proxy.push({ ...one, clusters: { a: [endpoint("127.0.0.1", port)] } });
    expect(proxy.take()).toEqual([]);
    expect(proxy.fetches).toBe(fetched);
    proxy.accepts = true;
    proxy.session.unblock();
    expect(proxy.take()).toEqual(["endpoints +a"]);
    expect(proxy.fetches).toBe(fetched + 1);
  });

  it("takes an answer with an old nonce for no answer", () => {
    const proxy = new FakeProxy(one);
    proxy.subscribe("cluster");
    proxy.ack("cluster", "99");
    expect(proxy.session.delivery("cluster").acked.size).toBe(0);
    expect(proxy.session.delivery("cluster").inFlight?.nonce).toBe("1");
    proxy.ack("cluster", "99", "nonsense");
    expect(proxy.session.delivery("cluster").lastNack).toBeUndefined();
    proxy.ack("cluster", "1");
    expect([...proxy.session.delivery("cluster").acked.keys()]).toEqual(["a"]);
  });

  it("does not send a refused version again, but its next version, and lets the rest through", () => {
    const proxy = new FakeProxy(one).settle();
    proxy.push({ ...one, hosts: { "bad.example": "a", "bad.example.org": "a" } });
    proxy.ack("virtual-host", "6", 'refused "http_proxy/bad.example": routes[0].match: is bad.');
    const delivery = proxy.session.delivery("virtual-host");
    expect([...delivery.refused.keys()]).toEqual(["http_proxy/bad.example"]);
    expect([...delivery.acked.keys()]).toEqual(["http_proxy/bad.example.org"]);
    expect(proxy.settled.at(-1)).toBe("v1");
    proxy.take();
    proxy.push({ ...one, hosts: { "bad.example": "a", "bad.example.org": "a", "c.example": "a" } });
    expect(proxy.take()).toEqual(["virtual-host +http_proxy/c.example"]);
    const bad = 'refused "http_proxy/bad.example": routes[0].match: is bad.';
    proxy.ack("virtual-host", "7");
    proxy.take();
    proxy.ack("virtual-host", "8", bad);
    proxy.push({ clusters: { ...one.clusters, ...two.clusters }, hosts: { "bad.example": "b" } });
    proxy.take();
    proxy.ack("cluster", "9");
    proxy.ack("endpoints", "10");
    expect(proxy.take()).toEqual([
      "virtual-host +http_proxy/bad.example -http_proxy/bad.example.org -http_proxy/c.example",
    ]);
  });

  it("offers a refused version once more after each later change of its type, since what it clashed with may be gone", () => {
    const proxy = new FakeProxy(one).settle();
    const late = { ...one, hosts: { "a.example": "a", "late.example": "a" } };
    const clash = 'refused "http_proxy/late.example": domains[0]: * belongs to virtual host x already.';
    const { refused } = proxy.session.delivery("virtual-host");
    proxy.push(late);
    proxy.ack("virtual-host", undefined, clash);
    proxy.take();
    // Neither another type's change nor a push without any is a reason.
    const moved = { ...late, clusters: { a: [endpoint("127.0.0.1", 10)] } };
    proxy.push(moved);
    proxy.ack("endpoints");
    proxy.push(moved);
    expect(proxy.take()).toEqual(["endpoints +a"]);
    // A change that is refused too is none.
    proxy.push({ ...moved, hosts: { ...late.hosts, "b.example": "a" } });
    proxy.ack("virtual-host", undefined, 'refused "http_proxy/b.example".');
    expect(proxy.take()).toEqual(["virtual-host +http_proxy/b.example"]);
    proxy.push({ ...moved, hosts: { ...late.hosts, "c.example": "a" } });
    proxy.ack("virtual-host");
    expect(proxy.take()).toEqual([
      "virtual-host +http_proxy/c.example",
      "virtual-host +http_proxy/late.example",
    ]);
    proxy.ack("virtual-host", proxy.session.delivery("virtual-host").inFlight?.nonce, clash);
    expect(proxy.take()).toEqual([]);
    // What is withdrawn (b.example) is refused no more.
    expect([...refused.keys()]).toEqual(["http_proxy/late.example"]);
    expect(proxy.settled.at(-1)).toBe("v5");
    proxy.push({ ...moved, hosts: { "late.example": "a", "c.example": "a" } });
    expect(proxy.take()).toEqual(["virtual-host -http_proxy/a.example"]);
    proxy.accept();
    expect(proxy.take()).toEqual(["virtual-host +http_proxy/late.example"]);
    expect(refused.size).toBe(0);
  });

  it("goes back to the last good version without a word when the bad one is withdrawn", () => {
    const proxy = new FakeProxy(one).settle();
    proxy.push({ ...one, clusters: { a: [endpoint("127.0.0.1", 666)] } });
    proxy.ack("endpoints", "6", "bad");
    proxy.take();
    proxy.push(one);
    expect(proxy.take()).toEqual([]);
    expect(proxy.settled.at(-1)).toBe("v2");
    expect(proxy.session.delivery("endpoints").refused.size).toBe(0);
  });

  it("sends nothing that a reconnecting client says it has, and removes what no longer exists once its routes had time to come", async () => {
    const before = encodeMesh(one).get(typeUrl.cluster)!.get("a")!;
    const proxy = new FakeProxy({ ...one, clusters: { ...one.clusters, ...two.clusters } });
    proxy.subscribe(
      "cluster",
      [],
      new Map([
        ["a", before.version],
        ["gone", "x"],
      ]),
    );
    expect(proxy.take()).toEqual(["cluster +b"]);
    proxy.ack("cluster", "1");
    expect(proxy.take()).toEqual([]);
    await proxy.clock.advance(removalHoldMs);
    expect(proxy.take()).toEqual(["cluster -gone"]);
  });

  it("answers a first request even when there is nothing to say", () => {
    const proxy = new FakeProxy({ clusters: {}, hosts: {} });
    proxy.subscribe("cluster");
    expect(proxy.take()).toEqual(["cluster"]);
  });

  it("answers a subscribed name that does not exist as removed, and sends it when it appears", () => {
    const proxy = new FakeProxy(one);
    proxy.subscribe("cluster", ["b"]);
    expect(proxy.take()).toEqual(["cluster -b"]);
    proxy.ack("cluster", "1");
    proxy.push(two);
    expect(proxy.take()).toEqual(["cluster +b"]);
  });

  it("sends a name again that is subscribed again", () => {
    const proxy = new FakeProxy(one).settle();
    proxy.subscribe("endpoints", ["a"]);
    expect(proxy.take()).toEqual(["endpoints +a"]);
  });

  it("says nothing about what was unsubscribed", () => {
    const proxy = new FakeProxy(one).settle();
    proxy.unsubscribe("endpoints", ["a"]);
    proxy.push({ ...one, clusters: { a: [endpoint("127.0.0.1", 7)] } });
    expect(proxy.take()).toEqual([]);
    expect(proxy.session.delivery("endpoints").acked.size).toBe(0);
  });

  it("takes a route configuration's name on VHDS for all of its virtual hosts, and a full name for one", () => {
    const mesh = { ...one, hosts: { "a.example": "a", "b.example": "a" } };
    const all = new FakeProxy(mesh);
    all.subscribe("virtual-host", ["http_proxy"]);
    expect(all.take()).toEqual(["virtual-host +http_proxy/a.example +http_proxy/b.example"]);
    const single = new FakeProxy(mesh);
    single.subscribe("virtual-host", ["http_proxy/b.example", "http_proxy/none"]);
    expect(single.take()).toEqual(["virtual-host +http_proxy/b.example -http_proxy/none"]);
  });

  it("puts virtual hosts inline for a foreign client until it asks for VHDS", () => {
    const proxy = new FakeProxy(one, "delta", "envoy");
    proxy.subscribe("route-configuration", ["http_proxy"]);
    const inline = decodeRouteConfiguration(proxy.last("route-configuration").changed[0]!.bytes);
    expect(inline).toMatchObject({ ok: true, value: { vhds: false, virtualHosts: [{ name: "a.example" }] } });
    proxy.ack("route-configuration");
    proxy.subscribe("virtual-host", ["http_proxy"]);
    const separate = decodeRouteConfiguration(proxy.last("route-configuration").changed[0]!.bytes);
    expect(separate).toMatchObject({ ok: true, value: { vhds: true, virtualHosts: [] } });
  });

  it("refuses a client that subscribes to more names than any mesh has", () => {
    const proxy = new FakeProxy(one);
    const names = Array.from({ length: maxSubscribedNames + 1 }, (_, index) => String(index));
    expect(proxy.subscribe("endpoints", names)).toMatch(/more than 50000 names/);
    expect(new FakeProxy(one).subscribe("endpoints", ["x".repeat(5000)])).toMatch(/longer than 4096/);
  });
});

describe("a state-of-the-world stream", () => {
  it("sends all clusters when one changes, and keeps those that routes still name until the routes are answered", () => {
    const proxy = new FakeProxy(one, "sotw", "envoy");
    proxy.ask("cluster", []);
    proxy.ask("cluster", [], "1");
    proxy.ask("endpoints", ["a", "b"]);
    proxy.ask("endpoints", ["a", "b"], "2");
    proxy.ask("listener", []);
    proxy.ask("listener", [], "3");
    proxy.ask("route-configuration", ["http_proxy"]);
    proxy.ask("route-configuration", ["http_proxy"], "4");
    proxy.take();
    proxy.push(two);
    expect(namesOf(proxy.last("cluster"))).toEqual(["a", "b"]);
    expect(proxy.take()).toEqual(["cluster +b", "endpoints +b"]);
    proxy.ask("cluster", [], "5");
    proxy.ask("endpoints", ["a", "b"], "6");
    expect(proxy.take()).toEqual(["route-configuration +http_proxy"]);
    proxy.ask("route-configuration", ["http_proxy"], "7");
    expect(namesOf(proxy.last("cluster"))).toEqual(["b"]);
    expect(proxy.take()).toEqual(["cluster -a"]);
    proxy.ask("cluster", [], "8");
    expect(proxy.settled.at(-1)).toBe("v1");
  });

  it("ignores a request that answers an older response while a newer one is unanswered", () => {
    const proxy = new FakeProxy(one, "sotw", "envoy");
    proxy.ask("cluster", []);
    proxy.ask("cluster", [], "0", "old");
    expect(proxy.session.delivery("cluster").inFlight?.nonce).toBe("1");
    expect(proxy.session.delivery("cluster").lastNack).toBeUndefined();
  });

  it("keeps the last good version of a refused resource in the whole", () => {
    const proxy = new FakeProxy(one, "sotw", "grpc");
    proxy.ask("listener", []);
    proxy.ask("listener", [], "1");
    const good = [...proxy.last("listener").all()][0]!.version;
    proxy.push({ ...one, listenerPort: 1 });
    proxy.ask("listener", [], "2", "port 1 is taken");
    proxy.push(one);
    expect([...proxy.session.delivery("listener").sent.values()].map(({ version }) => version)).toEqual([
      good,
    ]);
  });

  it("sends endpoints of names that are added, and forgets those that are left out", () => {
    const proxy = new FakeProxy(
      { clusters: { ...one.clusters, ...two.clusters }, hosts: {} },
      "sotw",
      "grpc",
    );
    proxy.ask("endpoints", ["a"]);
    proxy.ask("endpoints", ["a", "b"], "1");
    expect(proxy.take()).toEqual(["endpoints +a", "endpoints +b"]);
    proxy.ask("endpoints", ["b"], "2");
    expect([...proxy.session.delivery("endpoints").acked.keys()]).toEqual(["b"]);
    expect(proxy.take()).toEqual([]);
  });

  it("stays silent about a name that does not exist, since it has no words for it", () => {
    const proxy = new FakeProxy(one, "sotw", "grpc");
    proxy.ask("route-configuration", ["none"]);
    expect(proxy.take()).toEqual([]);
  });
});
