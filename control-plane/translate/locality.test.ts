import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Endpoint, Labels, Locality } from "../../common/model/endpoint.ts";
import type { LocalityPolicy } from "../snapshot/snapshot.ts";
import type { Vantage } from "./locality.ts";
import { placeEndpoints, weighsLocalities } from "./locality.ts";
import type { Zones } from "./zone-aware.ts";
import { shareByZone } from "./zone-aware.ts";

const places = ["eu/a/1", "eu/a/2", "eu/b/1", "us/a/1", "ap/a/1", ""];
const everywhere = places.map((place) => endpoint(place));

/** Place → priority, or share of the whole. */
function priorities(policy: Partial<LocalityPolicy>, from: string, labels: Labels = {}) {
  const placed = placeEndpoints(everywhere, { ...none, ...policy }, at(from, labels));
  return Object.fromEntries(placed.map((one, i) => [places[i]!, one.priority ?? 0]));
}

describe("endpoints by nearness", () => {
  it("come in the order subzone, zone, region, the rest", () => {
    const expected = { "eu/a/1": 0, "eu/a/2": 1, "eu/b/1": 2, "us/a/1": 3, "ap/a/1": 3, "": 3 };
    expect(priorities({}, "eu/a/1")).toEqual(expected);
  });

  it("leave no level empty", () => {
    const expected = { "eu/a/1": 1, "eu/a/2": 1, "eu/b/1": 1, "us/a/1": 0, "ap/a/1": 1, "": 1 };
    expect(priorities({}, "us/a/1")).toEqual(expected);
  });

  it("go to the named region before the others", () => {
    const failover = [{ from: "eu", to: "ap" }];
    const expected = { "eu/a/1": 0, "eu/a/2": 1, "eu/b/1": 2, "us/a/1": 4, "ap/a/1": 3, "": 4 };
    expect(priorities({ failover }, "eu/a/1")).toEqual(expected);
  });

  it("are as they were for a caller who does not know where it is", () => {
    expect(placeEndpoints(everywhere, none, at(""))).toBe(everywhere);
  });

  it("come in the order of the labels that they share with the caller, places counting as labels", () => {
    const failoverPriority = ["topology.kubernetes.io/region", "topology.kubernetes.io/zone"];
    const labels = { "topology.kubernetes.io/region": "eu", "topology.kubernetes.io/zone": "b" };
    const expected = { "eu/a/1": 1, "eu/a/2": 1, "eu/b/1": 0, "us/a/1": 2, "ap/a/1": 2, "": 2 };
    expect(priorities({ failoverPriority }, "", labels)).toEqual(expected);
  });

  it("come first where they have a label's written value, whatever the caller has", () => {
    const failoverPriority = ["topology.kubernetes.io/region=us"];
    expect(priorities({ failoverPriority }, "eu/a/1")).toMatchObject({ "us/a/1": 0, "eu/a/1": 1 });
  });
});

describe("endpoints by share", () => {
  const distribute = [
    { from: "us/*", to: { us: 100 } },
    { from: "eu/a/*", to: { "eu/a/1": 60, "eu/*": 30, us: 10 } },
  ];
  const policy = { ...none, distribute };

  it("divide the share of a pattern by what they weigh, by the most specific pattern", () => {
    const placed = placeEndpoints([...everywhere, endpoint("eu/b/1")], policy, at("eu/a/1"));
    const weights = placed.map(({ locality, localityWeight }) => [
      Object.values(locality!).join("/"),
      localityWeight,
    ]);
    expect(weights).toEqual([
      ["eu/a/1", 600_000],
      ["eu/a/2", 100_000],
      ["eu/b/1", 200_000],
      ["eu/b/1", 200_000],
      ["us/a/1", 100_000],
    ]);
    expect(weighsLocalities(policy, at("eu/a/1"), placed)).toBe(true);
  });

  it("stay as they are for callers of whom no entry speaks", () => {
    expect(placeEndpoints(everywhere, policy, at("ap/a/1"))).toBe(everywhere);
    expect(weighsLocalities(policy, at("ap/a/1"), everywhere)).toBe(false);
  });
});

describe("endpoints by zone", () => {
  const policy = { ...none, zoneAware: { minClusterSize: 3 } };
  const where = (endpoints: readonly string[], from: string, siblings: Record<string, number>) => {
    const vantage = at(from, {}, new Map(Object.entries(siblings)));
    const placed = placeEndpoints(endpoints.map(endpoint), policy, vantage);
    const weighs = weighsLocalities(policy, vantage, placed);
    return placed.map(({ priority = 0, localityWeight }, i) => [
      endpoints[i],
      priority,
      ...(weighs && priority === 0 ? [localityWeight! / 1_000_000] : []),
    ]);
  };
  const even = ["eu/a/1", "eu/b/1", "eu/c/1", "us/a/1"];

  it("keep all requests in the zone that has room for them, then the region's, then the others'", () => {
    expect(where(even, "eu/b/1", { "eu/a": 1, "eu/b": 1, "eu/c": 1 })).toEqual([
      ["eu/a/1", 1],
      ["eu/b/1", 0],
      ["eu/c/1", 1],
      ["us/a/1", 2],
    ]);
  });

  it("send what a zone has no room for to the zones that have", () => {
    // Half of the callers but a quarter of the endpoints: half of the requests stay.
    const endpoints = ["eu/a/1", "eu/b/1", "eu/b/2", "eu/c/1", "us/a/1"];
    expect(where(endpoints, "eu/a/1", { "eu/a": 2, "eu/b": 1, "eu/c": 1 })).toEqual([
      ["eu/a/1", 0, 0.5],
      ["eu/b/1", 0, 0.25],
      ["eu/b/2", 0, 0.25],
      ["eu/c/1", 1],
      ["us/a/1", 2],
    ]);
  });

  it.each([
    ["few endpoints", ["eu/a/1", "eu/b/1", "us/a/1"], "eu/a/1", { "eu/a": 1, "eu/b": 1 }],
    ["no endpoint in the zone", even, "eu/d/1", { "eu/d": 1 }],
    ["nobody known to call", even, "eu/a/1", {}],
  ] as const)("go to the whole region when there is %s", (_title, endpoints, from, siblings) => {
    const expected = endpoints.map((place) => [place, place.startsWith("eu") ? 0 : 1]);
    expect(where(endpoints, from, siblings)).toEqual(expected);
  });

  it("get from all zones together what they can take, whoever calls from where", () => {
    const zones = ["eu/a", "eu/b", "eu/c"];
    const counts = fc.tuple(...zones.map(() => fc.integer({ min: 1, max: 9 })));
    fc.assert(
      fc.property(counts, counts, (callers, endpoints) => {
        const called = new Map(zones.map((zone, i) => [zone, callers[i]!]));
        const offered = new Map(zones.map((zone, i) => [zone, endpoints[i]!]));
        const all = callers.reduce((sum, each) => sum + each, 0);
        const got = new Map(zones.map((zone) => [zone, 0]));
        for (const [zone, count] of called) {
          const shares = shareByZone(called, offered, zone)!;
          expect([...shares.values()].reduce((sum, share) => sum + share, 0)).toBeCloseTo(1);
          for (const [to, share] of shares) got.set(to, got.get(to)! + (share * count) / all);
        }
        const room = endpoints.reduce((sum, each) => sum + each, 0);
        for (const [zone, share] of got) {
          const fair = offered.get(zone)! / room;
          expect(share).toBeLessThanOrEqual(Math.max(fair, called.get(zone)! / all) + 1e-9);
          expect(share).toBeCloseTo(fair > 0 ? fair : 0, 5);
        }
      }),
    );
  });
});

const none: LocalityPolicy = { distribute: [], failover: [], failoverPriority: [] };

function endpoint(place: string): Endpoint {
  const locality = parse(place);
  return { address: "10.0.0.1", port: 80, weight: 1, health: "healthy", ...(locality && { locality }) };
}

function at(place: string, labels: Labels = {}, siblings: Zones = new Map()): Vantage {
  return { locality: parse(place), labels, siblings, siblingsText: "", key: place };
}

function parse(place: string): Locality | undefined {
  if (place === "") return undefined;
  const [region = "", zone = "", subzone = ""] = place.split("/");
  return { region, zone, subzone };
}
