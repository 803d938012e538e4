import { describe, expect, it } from "vitest";
import { xxHash64 } from "../../../common/base/xxhash64.ts";
import { balanced, countPicks, fake } from "./contract.ts";
import { divideLoad } from "./levels.ts";

/** The load of levels of ten endpoints each, of which so many may take traffic. */
function loads(eligible: readonly number[], panicPercent = 0): number[] {
  return divideLoad(
    eligible.map((count) => ({ total: 10, eligible: count })),
    panicPercent,
  ).map(({ load }) => load);
}

describe("priorities", () => {
  // The table of Envoy's documentation of priority levels, with its overprovisioning factor 1.4.
  it.each([
    [
      [10, 10],
      [100, 0],
    ],
    [
      [8, 10],
      [100, 0],
    ],
    [
      [7, 10],
      [98, 2],
    ],
    [
      [5, 10],
      [70, 30],
    ],
    [
      [2, 10],
      [28, 72],
    ],
    [
      [0, 10],
      [0, 100],
    ],
    [
      [2, 2],
      [50, 50],
    ],
    [
      [2, 0],
      [100, 0],
    ],
  ])("divides the load of %j as %j", (eligible, expected) => {
    expect(loads(eligible)).toEqual(expected);
  });

  it("panics only where all levels together can't take the load", () => {
    const panics = (eligible: readonly number[]) =>
      divideLoad(
        eligible.map((count) => ({ total: 10, eligible: count })),
        50,
      ).map(({ isPanic }) => isPanic);
    expect(panics([3])).toEqual([true]);
    expect(panics([6])).toEqual([false]);
    expect(panics([3, 10])).toEqual([false, false]);
    expect(panics([2, 2])).toEqual([true, true]);
    expect(panics([0, 0])).toEqual([true, true]);
  });

  it("spills what the first priority can't take", () => {
    const first = Array.from({ length: 10 }, (_, i) => fake(`near${i}`, { isEligible: i < 5 }));
    const far = fake("far", { priority: 1 });
    const picks = countPicks("round-robin", [...first, far], 10_000);
    expect(picks.far).toBeGreaterThan(2_800);
    expect(picks.far).toBeLessThan(3_200);
    expect(picks.near7).toBeUndefined();
  });

  it("keeps a key at its endpoint as long as the loads stay", () => {
    const endpoints = [fake("a"), fake("b", { isEligible: false }), fake("c", { priority: 1 })];
    const pick = balanced("maglev", endpoints);
    const hash = xxHash64("jason");
    expect(new Set(Array.from({ length: 50 }, () => pick(hash)!.name)).size).toBe(1);
  });

  it("asks also the ineligible in panic, but nobody who is leaving", () => {
    const endpoints = [
      fake("up"),
      ...["b", "c", "d"].map((name) => fake(name, { isEligible: false })),
      fake("leaving", { isEligible: false, isLeaving: true }),
    ];
    const picks = countPicks("round-robin", endpoints, 400, 50);
    expect(picks).toEqual({ up: 100, b: 100, c: 100, d: 100 });
    expect(countPicks("round-robin", endpoints, 400)).toEqual({ up: 400 });
  });
});

describe("weighed localities", () => {
  const at = (name: string, localityKey: string, localityWeight: number, isEligible = true) =>
    fake(name, { localityKey, localityWeight, isEligible });

  it.each(["round-robin", "least-request", "random", "maglev", "ring-hash"] as const)(
    "divides requests by the weight of the locality, however many endpoints it has (%s)",
    (kind) => {
      const endpoints = [at("a1", "a", 80), at("b1", "b", 20), at("b2", "b", 20), at("c1", "c", 0)];
      const picks = countPicks({ kind, weighsLocalities: true }, endpoints, 10_000);
      expect(picks.a1! / 10_000).toBeCloseTo(0.8, 1);
      expect((picks.b1! + picks.b2!) / 10_000).toBeCloseTo(0.2, 1);
      expect(picks.c1).toBeUndefined();
    },
  );

  it("takes from a locality what its failing endpoints can't do", () => {
    const endpoints = [
      ...[true, false, false, false].map((isUp, i) => at(`a${i}`, "a", 50, isUp)),
      at("b1", "b", 50),
    ];
    const picks = countPicks({ kind: "round-robin", weighsLocalities: true }, endpoints, 10_000);
    // 1.4 × 1/4 of 50 against 50.
    expect(picks.a0! / 10_000).toBeCloseTo(17.5 / 67.5, 1);
  });
});
