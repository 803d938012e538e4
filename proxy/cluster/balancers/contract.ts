import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Random } from "../../../common/base/random.ts";
import { seededRandom } from "../../../common/base/random.ts";
import { xxHash64 } from "../../../common/base/xxhash64.ts";
import type { LoadBalancer } from "../../../common/model/cluster.ts";
import { FakeClock } from "../../../test/support/fake-clock.ts";
import type { Pick } from "./balancer.ts";
import type { Balanced } from "./index.ts";
import { balance } from "./index.ts";
import type { LatencyAverage } from "./latency-average.ts";

export interface Fake extends Balanced {
  readonly name: string;
  weight: number;
  active: number;
  isEligible: boolean;
  isLeaving: boolean;
  latency: LatencyAverage | undefined;
}

export interface ContractExceptions {
  /**
   * How far from its fair share each of ten equal endpoints may be; 0.1 unless told. A ring of 1,024 places is uneven by nature: each
   * endpoint owns about a hundred arcs of random length.
   */
  readonly skew?: number;
}

/** What every algorithm promises; each has a test file that runs this and adds its own peculiarities. */
export function balancerContract(kind: LoadBalancer["kind"], { skew = 0.1 }: ContractExceptions = {}): void {
  describe(`${kind} keeps the balancer contract`, () => {
    it("picks nothing when there is no endpoint", () => {
      expect(balanced(kind, [], 1)()).toBeUndefined();
    });

    it("picks nothing when no endpoint may take traffic", () => {
      expect(balanced(kind, [fake("a", { isEligible: false })], 1)()).toBeUndefined();
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
      for (const endpoint of endpoints) expect(picks[endpoint.name]).toBeGreaterThan(2_000 * (1 - skew));
      for (const endpoint of endpoints) expect(picks[endpoint.name]).toBeLessThan(2_000 * (1 + skew));
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
      const one = balanced(kind, endpoints, 42);
      const other = balanced(kind, endpoints, 42);
      for (let i = 0; i < 100; i++) expect(one()).toBe(other());
    });
  });
}

const hashes = Array.from({ length: 3_000 }, (_, i) => xxHash64(`key-${i}`));

/** Who gets each of 3,000 keys. */
function ownersOf(policy: LoadBalancer, names: readonly string[]): string[] {
  const pick = balanced(
    policy,
    names.map((name) => fake(name)),
  );
  return hashes.map((hash) => pick(hash)!.name);
}

/** 0..1: the share of 3,000 keys that have another endpoint once the one at `at` is gone. */
export function movedShare(policy: LoadBalancer, names: readonly string[], at: number): number {
  const gone = names[at % names.length]!;
  const before = ownersOf(policy, names);
  const after = ownersOf(
    policy,
    names.filter((name) => name !== gone),
  );
  return before.filter((name, i) => name !== after[i]).length / hashes.length;
}

/** Between so many endpoints, under addresses as they come. */
export function fleet(least: number, most: number): fc.Arbitrary<string[]> {
  return fc
    .uniqueArray(fc.integer({ min: 1, max: 250 }), { minLength: least, maxLength: most })
    .map((hosts) => hosts.map((host) => `10.1.0.${host}:8080`));
}

/** What balancers by hash promise beyond the common contract. How many keys move is shown in each one's own test: they differ there. */
export function hashingContract(kind: "ring-hash" | "maglev"): void {
  const owners = (names: readonly string[]) => ownersOf({ kind }, names);

  describe(`${kind} keeps the hashing contract`, () => {
    it("sends one key to one endpoint, in whatever order the endpoints come and whatever is under way", () => {
      const names = ["a:1", "b:1", "c:1", "d:1"];
      expect(owners(names.toReversed())).toEqual(owners(names));
      const busy = balanced(
        kind,
        names.map((name, i) => fake(name, { active: i * 100 })),
        99,
      );
      expect(hashes.map((hash) => busy(hash)!.name)).toEqual(owners(names));
    });

    it("chooses another endpoint for a further try, the same one every time", () => {
      const names = Array.from({ length: 10 }, (_, i) => `10.0.0.${i}:80`);
      const pick = balanced(
        kind,
        names.map((name) => fake(name)),
      );
      const other = hashes.filter((hash) => [1, 2, 3].some((tries) => pick(hash, tries) !== pick(hash)));
      expect(other.length / hashes.length).toBeGreaterThan(0.99);
      expect(pick(hashes[0], 1)).toBe(pick(hashes[0], 1));
    });
  });
}

export function fake(name: string, with_: Partial<Fake> = {}): Fake {
  return {
    name,
    key: name,
    weight: 1,
    active: 0,
    latency: undefined,
    isEligible: true,
    isLeaving: false,
    eligibleSince: Number.NEGATIVE_INFINITY,
    priority: 0,
    localityKey: "",
    localityWeight: 1,
    ...with_,
  };
}

/** A balancer with a clock that stands still. */
export function balanced<C extends Balanced>(
  policy: LoadBalancer["kind"] | LoadBalancer,
  endpoints: readonly C[],
  seed: number | Random = 7,
  panicPercent = 0,
): Pick<C> {
  return balance(endpoints, {
    policy: typeof policy === "string" ? { kind: policy } : policy,
    random: typeof seed === "number" ? seededRandom(seed) : seed,
    clock: new FakeClock(),
    panicPercent,
  });
}

export function countPicks(
  policy: LoadBalancer["kind"] | LoadBalancer,
  endpoints: readonly Fake[],
  times: number,
  panicPercent = 0,
): Record<string, number> {
  const pick = balanced(policy, endpoints, 7, panicPercent);
  const picks: Record<string, number> = {};
  for (let i = 0; i < times; i++) {
    const { name } = pick()!;
    picks[name] = (picks[name] ?? 0) + 1;
  }
  return picks;
}
