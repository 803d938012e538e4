import { describe, expect, it } from "vitest";
import type { Listener } from "../../common/model/listener.ts";
import type { RouteConfiguration, VirtualHost } from "../../common/model/route.ts";
import { plainRoute } from "../../test/support/routes.ts";
import type { ResourceType, ResourceUpdate } from "../xds/resource-update.ts";
import { clustersNamedBy } from "./proxy-config.ts";
import { ResourceState } from "./resource-state.ts";

describe("ResourceState", () => {
  it("adds virtual hosts that arrive one by one to their route configuration", () => {
    const state = new ResourceState();
    take(state, update("virtual-host", { "http_proxy/a": host("a"), "9080/b": host("b") }));
    take(state, update("route-configuration", { http_proxy: configuration("http_proxy") }));
    take(state, update("virtual-host", { "http_proxy/c": host("c") }));
    expect(hostNames(state, "http_proxy")).toEqual(["a", "c"]);
    expect(state.current.routes.has("9080")).toBe(false);
  });

  it("keeps unchanged virtual hosts the same objects when one changes", () => {
    const state = new ResourceState();
    take(state, update("route-configuration", { r: configuration("r") }));
    take(state, update("virtual-host", { "r/a": host("a"), "r/b": host("b") }));
    const before = state.current.routes.get("r")!.virtualHosts;
    take(state, update("virtual-host", { "r/b": host("b", ["b", "b.example"]) }));
    const after = state.current.routes.get("r")!.virtualHosts;
    expect(after[0]).toBe(before[0]);
    expect(after[1]).not.toBe(before[1]);
  });

  it("drops a virtual host that was removed and a configuration that was", () => {
    const state = new ResourceState();
    take(state, update("route-configuration", { r: configuration("r") }));
    take(state, update("virtual-host", { "r/a": host("a"), "r/b": host("b") }));
    take(state, update("virtual-host", {}, ["r/a"]));
    expect(hostNames(state, "r")).toEqual(["b"]);
    take(state, update("route-configuration", {}, ["r"]));
    expect(state.current.routes.size).toBe(0);
  });

  it("refuses one bad resource by name while the others apply, and keeps its last good version", () => {
    const state = new ResourceState();
    take(state, update("route-configuration", { r: configuration("r") }));
    take(state, update("virtual-host", { "r/a": host("a", ["a"]) }));
    const bad = {
      ...host("a", ["a"]),
      routes: [plainRoute("bad", { path: { kind: "regex", value: "(a+" } })],
    };
    const rejections = take(state, update("virtual-host", { "r/a": bad, "r/b": host("b", ["b"]) }));
    expect(rejections).toMatchObject([{ name: "r/a", problems: [{ path: "routes[0].match.path" }] }]);
    expect(state.current.routes.get("r")!.virtualHosts.map(({ routes }) => routes)).toEqual([[], []]);
  });

  it("refuses a virtual host that claims another's domain, whoever comes first by name", () => {
    const state = new ResourceState();
    take(state, update("virtual-host", { "r/m": host("m", ["shop"]) }));
    const [rejection] = take(state, update("virtual-host", { "r/a": host("a", ["a", "shop"]) }));
    expect(rejection!.name).toBe("r/a");
    expect(rejection!.problems[0]).toMatchObject({ path: "domains[1]" });
    expect(rejection!.problems[0]!.why).toContain("r/m");
  });

  it("lets a domain move from one virtual host to another in one message", () => {
    const state = new ResourceState();
    take(state, update("virtual-host", { "r/a": host("a", ["shop"]), "r/b": host("b", ["b"]) }));
    const moved = update("virtual-host", { "r/b": host("b", ["b", "shop"]), "r/a": host("a", ["a"]) });
    expect(take(state, moved)).toEqual([]);
  });

  it("lets two route configurations use the same domain", () => {
    const state = new ResourceState();
    expect(take(state, update("virtual-host", { "r/a": host("a", ["x"]), "s/a": host("a", ["x"]) }))).toEqual(
      [],
    );
  });

  it("refuses a listener on an address that another has, and one without filter chains", () => {
    const state = new ResourceState();
    take(state, update("listener", { old: listener("old", 8080) }));
    const rejections = take(
      state,
      update("listener", {
        a: listener("a", 8080),
        b: { ...listener("b", 8081), filterChains: [] },
        c: listener("c", 8082),
      }),
    );
    expect(rejections.map(({ name, problems }) => [name, problems[0]!.path])).toEqual([
      ["a", "address"],
      ["b", "filter_chains"],
    ]);
    expect([...state.current.received.listener.keys()]).toEqual(["old", "c"]);
  });

  it("lets a listener take the port of one that goes in the same message", () => {
    const state = new ResourceState();
    take(state, update("listener", { old: listener("old", 8080) }));
    expect(take(state, update("listener", { fresh: listener("fresh", 8080) }, ["old"]))).toEqual([]);
  });

  it("never changes a config that it gave out", () => {
    const state = new ResourceState();
    take(state, update("listener", { a: listener("a", 1) }));
    const before = state.current;
    take(state, update("listener", { b: listener("b", 2) }, ["a"]));
    expect([...before.received.listener.keys()]).toEqual(["a"]);
    expect(Object.isFrozen(state.current)).toBe(true);
  });
});

describe("clustersNamedBy", () => {
  it("finds destinations and mirrors", () => {
    const forward = {
      action: { kind: "forward", destinations: [{ destination: "v1" }], mirrors: [{ destination: "v2" }] },
    };
    const routes = [forward, { action: { kind: "redirect" } }];
    const named = { name: "r", vhds: false, virtualHosts: [{ name: "a", domains: [], routes }] };
    expect([...clustersNamedBy(named as unknown as RouteConfiguration)]).toEqual(["v1", "v2"]);
  });
});

function take(state: ResourceState, message: ResourceUpdate) {
  const rejections = state.check(message);
  state.commit(message, rejections);
  return rejections;
}

function update<T>(type: ResourceType, values: Record<string, T>, removed: string[] = []): ResourceUpdate {
  const entries = Object.entries(values).map(
    ([name, value]) => [name, { value, version: "1", bytes: new Uint8Array() }] as const,
  );
  return { type, updated: new Map(entries), removed } as unknown as ResourceUpdate;
}

function configuration(name: string): RouteConfiguration {
  return { name, vhds: true, virtualHosts: [] };
}

function host(name: string, domains: readonly string[] = [name]): VirtualHost {
  return { name, domains, routes: [] };
}

function listener(name: string, port: number): Listener {
  const http = { statPrefix: name, routes: { kind: "rds", routeConfigName: "r" } } as const;
  return {
    name,
    address: "127.0.0.1",
    port,
    direction: "outbound",
    filterChains: [{ name: "http", http }],
  };
}

function hostNames(state: ResourceState, route: string): string[] {
  return state.current.routes.get(route)!.virtualHosts.map(({ name }) => name);
}
