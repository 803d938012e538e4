import { describe, expect, it } from "vitest";
import type { Endpoint, Labels, Locality } from "../../common/model/endpoint.ts";
import type { LocalityPolicy } from "../snapshot/snapshot.ts";
import { placeEndpoints, weighsLocalities } from "./locality.ts";

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
    expect(placeEndpoints(everywhere, none, { locality: undefined, labels: {}, key: "" })).toBe(everywhere);
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
    expect(weighsLocalities(policy, at("eu/a/1"))).toBe(true);
  });

  it("stay as they are for callers of whom no entry speaks", () => {
    expect(placeEndpoints(everywhere, policy, at("ap/a/1"))).toBe(everywhere);
    expect(weighsLocalities(policy, at("ap/a/1"))).toBe(false);
  });
});

const none: LocalityPolicy = { distribute: [], failover: [], failoverPriority: [] };

function endpoint(place: string): Endpoint {
  const locality = parse(place);
  return { address: "10.0.0.1", port: 80, weight: 1, health: "healthy", ...(locality && { locality }) };
}

function at(place: string, labels: Labels = {}) {
  return { locality: parse(place), labels, key: place };
}

function parse(place: string): Locality | undefined {
  if (place === "") return undefined;
  const [region = "", zone = "", subzone = ""] = place.split("/");
  return { region, zone, subzone };
}
