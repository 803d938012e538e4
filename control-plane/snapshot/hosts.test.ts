import { describe, expect, it } from "vitest";
import { bySpecificity, clusterLocalName, covers, intersect, isVisible } from "./hosts.ts";

describe("hosts", () => {
  it.each([
    ["*", "a.example.com", true],
    ["*", "*", true],
    ["*.example.com", "a.example.com", true],
    ["*.example.com", "a.b.example.com", true],
    ["*.example.com", "example.com", false],
    ["*.example.com", ".example.com", false],
    ["*.example.com", "*.eu.example.com", true],
    ["*.eu.example.com", "*.example.com", false],
    ["*.example.com", "badexample.com", false],
    ["a.example.com", "a.example.com", true],
    ["a.example.com", "*.example.com", false],
    ["a.example.com", "*", false],
  ])("%s covers %s: %s", (pattern, host, expected) => {
    expect(covers(pattern, host)).toBe(expected);
  });

  it("intersects in the narrower word, from either side", () => {
    expect(intersect("*.example.com", "a.example.com")).toBe("a.example.com");
    expect(intersect("a.example.com", "*")).toBe("a.example.com");
    expect(intersect("*.example.com", "*.eu.example.com")).toBe("*.eu.example.com");
    expect(intersect("*.example.com", "*.example.org")).toBeUndefined();
  });

  it("sorts the most specific first, and always the same", () => {
    const hosts = ["*", "*.com", "b.com", "*.example.com", "a.example.com", "a.com"];
    expect(hosts.toSorted(bySpecificity)).toEqual([
      "a.example.com",
      "a.com",
      "b.com",
      "*.example.com",
      "*.com",
      "*",
    ]);
  });

  it.each([
    [["*"], "two", true],
    [[], "two", true],
    [["."], "one", true],
    [["."], "two", false],
    [["two"], "two", true],
    [["two"], "one", false],
    [[".", "two"], "one", true],
  ])("exported to %j it is seen from %s: %s", (exportTo, viewer, expected) => {
    expect(isVisible(exportTo, "one", viewer)).toBe(expected);
  });

  it("splits names of the cluster's DNS and no others", () => {
    expect(clusterLocalName("reviews.shop.svc.cluster.local")).toEqual({
      name: "reviews",
      namespace: "shop",
    });
    for (const host of [
      "reviews.shop",
      "*.shop.svc.cluster.local",
      "a.b.c.svc.cluster.local",
      "svc.cluster.local",
    ]) {
      expect(clusterLocalName(host)).toBeUndefined();
    }
  });
});
