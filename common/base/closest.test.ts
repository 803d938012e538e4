import { describe, expect, it } from "vitest";
import { closestName } from "./closest.ts";

const known = ["route", "timeout", "retries", "withoutHeaders", "fault", "mirror", "mirrors"];

describe("closestName", () => {
  it.each([
    ["timout", "timeout"],
    ["time_out", "timeout"],
    ["withoutheaders", "withoutHeaders"],
    ["ruote", "route"],
    ["miror", "mirror"],
    ["mirrors", "mirrors"],
    ["retrys", "retries"],
  ])("it takes %s for %s", (name, expected) => {
    expect(closestName(name, known)).toBe(expected);
  });

  it.each(["weight", "x", "", "__proto__", "a".repeat(5000)])("it has no guess for %s", (name) => {
    expect(closestName(name, known)).toBeUndefined();
  });
});
