import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { seededRandom } from "../base/random.ts";
import { isChosen } from "./fraction.ts";
import { pickWeighted } from "./pick-weighted.ts";

describe("pickWeighted", () => {
  it("picks in proportion to the weights, within five standard deviations", () => {
    const weights = fc
      .array(fc.integer({ min: 0, max: 100 }), { minLength: 2, maxLength: 5 })
      .filter((all) => all.some((weight) => weight > 0));
    fc.assert(
      fc.property(weights, fc.integer(), (all, seed) => {
        const items = all.map((weight, index) => ({ weight, index }));
        const total = all.reduce((sum, weight) => sum + weight, 0);
        const random = seededRandom(seed);
        const draws = 4000;
        const counts = all.map(() => 0);
        for (let i = 0; i < draws; i++) counts[pickWeighted(items, random).index]!++;
        for (const { weight, index } of items) {
          const share = weight / total;
          const allowed = 5 * Math.sqrt(draws * share * (1 - share));
          expect(Math.abs(counts[index]! - draws * share)).toBeLessThanOrEqual(allowed);
        }
      }),
      { numRuns: 50, seed: 1 },
    );
  });

  it("never picks a weight of 0, even at the edges of chance", () => {
    const items = [{ weight: 0 }, { weight: 3 }, { weight: 0 }, { weight: 2 }, { weight: 0 }];
    for (const point of [0, 0.5999999999999999, 0.6, 0.9999999999999999, 1]) {
      expect(pickWeighted(items, () => point).weight).toBeGreaterThan(0);
    }
  });

  it("draws no chance when there is no choice", () => {
    const only = { weight: 0 };
    const random = () => {
      throw new Error("drawn");
    };
    expect(pickWeighted([only], random)).toBe(only);
    expect(isChosen(0, random)).toBe(false);
    expect(isChosen(1, random)).toBe(true);
  });
});

describe("isChosen", () => {
  it.each([0.0001, 0.1, 0.5, 0.999])("chooses %f of the calls", (fraction) => {
    const random = seededRandom(7);
    let chosen = 0;
    for (let i = 0; i < 100_000; i++) if (isChosen(fraction, random)) chosen++;
    expect(Math.abs(chosen / 100_000 - fraction)).toBeLessThan(0.005);
  });
});
