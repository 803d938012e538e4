import { describe, expect, it } from "vitest";
import { seededRandom } from "../../../common/base/random.ts";
import type { LoadBalancer } from "../../../common/model/cluster.ts";
import { balance } from "./index.ts";

interface Fake {
  readonly name: string;
  weight: number;
  active: number;
  isEligible: boolean;
}

/** What every algorithm promises; each has a test file that runs this and adds its own peculiarities. */
export function balancerContract(kind: LoadBalancer["kind"]): void {
  describe(`${kind} keeps the balancer contract`, () => {
    it("picks nothing when there is no endpoint", () => {
      expect(balance(kind, [], seededRandom(1))()).toBeUndefined();
    });

    it("picks nothing when no endpoint may take traffic", () => {
      expect(balance(kind, [fake("a", { isEligible: false })], seededRandom(1))()).toBeUndefined();
    });

    it("picks the only endpoint every time", () => {
      expect(countPicks(kind, [fake("a", { weight: 7 })], 100)).toEqual({ a: 100 });
    });

    it("never picks an unhealthy or draining endpoint", () => {
      const endpoints = [fake("a"), fake("b", { isEligible: false, weight: 100 }), fake("c")];
      const picks = countPicks(kind, endpoints, 1_000);
      expect(picks.b).toBeUndefined();
      expect(picks.a! + picks.c!).toBe(1_000);
    });

    it("spreads uniformly over equal endpoints", () => {
      const endpoints = Array.from({ length: 10 }, (_, i) => fake(`e${i}`));
      const picks = countPicks(kind, endpoints, 20_000);
      for (const endpoint of endpoints) expect(picks[endpoint.name]).toBeGreaterThan(1_800);
      for (const endpoint of endpoints) expect(picks[endpoint.name]).toBeLessThan(2_200);
    });

    it("respects weights while nothing is under way", () => {
      const picks = countPicks(kind, [fake("a", { weight: 1 }), fake("b", { weight: 3 })], 20_000);
      expect(picks.a! / 20_000).toBeCloseTo(0.25, 1);
      expect(picks.b! / 20_000).toBeCloseTo(0.75, 1);
    });

    it("reaches a light endpoint beside very heavy ones", () => {
      const picks = countPicks(kind, [fake("a"), fake("b", { weight: 99 })], 20_000);
      expect(picks.a).toBeGreaterThan(120);
      expect(picks.a).toBeLessThan(280);
    });

    it("gives equal sequences for equal seeds", () => {
      const endpoints = [fake("a"), fake("b", { weight: 2 }), fake("c", { weight: 5 })];
      const one = balance(kind, endpoints, seededRandom(42));
      const other = balance(kind, endpoints, seededRandom(42));
      for (let i = 0; i < 100; i++) expect(one()).toBe(other());
    });
  });
}

export function fake(name: string, with_: Partial<Fake> = {}): Fake {
  return { name, weight: 1, active: 0, isEligible: true, ...with_ };
}

export function countPicks(
  kind: LoadBalancer["kind"],
  endpoints: readonly Fake[],
  times: number,
): Record<string, number> {
  const pick = balance(kind, endpoints, seededRandom(7));
  const picks: Record<string, number> = {};
  for (let i = 0; i < times; i++) {
    const { name } = pick()!;
    picks[name] = (picks[name] ?? 0) + 1;
  }
  return picks;
}
