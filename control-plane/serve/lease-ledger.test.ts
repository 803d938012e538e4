import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { LeaseReply } from "../../common/xds/lease-service.ts";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { LeaseLedger, leaseTtlMs } from "./lease-ledger.ts";

const rule = "default/limit/all";

/** Proxies that report every second and go by what they are told, each at its own demand. */
class Scene {
  readonly clock = new FakeClock();
  readonly ledger: LeaseLedger;
  readonly replies = new Map<string, LeaseReply>();

  constructor(settledFor = 60_000) {
    this.ledger = new LeaseLedger(this.clock);
    void this.clock.advance(settledFor);
  }

  report(proxy: string, demand: number, more: { applied?: number; proxies?: number } = {}): number {
    const reply = this.ledger.report({
      proxy,
      applied: more.applied ?? this.replies.get(proxy)?.version ?? 0,
      rules: [
        {
          rule,
          perSecond: 100,
          burst: 200,
          proxies: more.proxies ?? 0,
          keys: demand === 0 ? [] : [["", demand]],
        },
      ],
    });
    this.replies.set(proxy, reply);
    return this.shareOf(proxy);
  }

  shareOf(proxy: string): number {
    const [lease] = this.replies.get(proxy)!.rules;
    return lease!.keys[0]?.[1] ?? lease!.otherShare;
  }

  /** So many rounds of reports. */
  async rounds(count: number, demands: Readonly<Record<string, number>>): Promise<void> {
    for (let round = 0; round < count; round++) {
      for (const [proxy, demand] of Object.entries(demands)) this.report(proxy, demand);
      await this.clock.advance(1_000);
    }
  }
}

describe("the ledger of leases", () => {
  it("gives those who need little what they need, and divides the rest evenly", async () => {
    const scene = new Scene();
    await scene.rounds(8, { a: 8, b: 1_000, c: 500 });
    expect(scene.shareOf("a")).toBeGreaterThan(0.1);
    expect(scene.shareOf("a")).toBeLessThan(0.15);
    expect(scene.shareOf("b")).toBeCloseTo(scene.shareOf("c"), 5);
    expect(scene.shareOf("a") + scene.shareOf("b") + scene.shareOf("c")).toBeCloseTo(1, 5);
  });

  it("lets the only one that needs anything have nearly all, and follows when the demand moves", async () => {
    const scene = new Scene();
    await scene.rounds(6, { a: 500, b: 0, c: 0 });
    expect(scene.shareOf("a")).toBeCloseTo(0.9 + 0.1 / 3, 5);
    await scene.rounds(12, { a: 0, b: 500, c: 0 });
    expect(scene.shareOf("b")).toBeCloseTo(0.9 + 0.1 / 3, 5);
    expect(scene.shareOf("a")).toBeCloseTo(0.1 / 3, 5);
  });

  it("gives nobody what another may still go by", () => {
    const scene = new Scene();
    scene.report("a", 500);
    expect(scene.shareOf("a")).toBeCloseTo(1, 5);
    expect(scene.report("b", 500)).toBeCloseTo(0.05, 5);
    // a is told the smaller share and does not say that it goes by it.
    scene.report("a", 500, { applied: 1 });
    expect(scene.shareOf("a")).toBeCloseTo(0.5, 5);
    expect(scene.report("b", 500)).toBeCloseTo(0.05, 5);
    scene.report("a", 500);
    expect(scene.report("b", 500)).toBeCloseTo(0.5, 5);
  });

  it("hands out what nobody used of the burst, once", async () => {
    const scene = new Scene();
    for (const proxy of ["a", "b"]) scene.report(proxy, 0);
    const tokensOf = (proxy: string) => scene.replies.get(proxy)!.rules[0]!.keys[0]?.[2] ?? 0;
    scene.report("a", 500);
    // Nine tenths of 200 are in nobody's hands at first.
    expect(tokensOf("a")).toBeCloseTo(180, 5);
    let more = 0;
    for (let round = 0; round < 10; round++) {
      scene.report("a", 500);
      more += tokensOf("a");
      scene.report("b", 500);
      more += tokensOf("b");
      await scene.clock.advance(1_000);
    }
    // What nobody held while the shares moved: less than half of the limit, for a second.
    expect(more).toBeLessThan(50);
  });

  it("takes a share back when its proxy was gone for as long as the lease", async () => {
    const scene = new Scene();
    await scene.rounds(4, { a: 500, b: 500 });
    scene.ledger.gone("a");
    expect(scene.report("b", 500)).toBeLessThan(0.6);
    await scene.clock.advance(2 * leaseTtlMs + 1);
    expect(scene.report("b", 500)).toBeCloseTo(1, 5);
    expect([scene.ledger.holders, scene.ledger.keys]).toEqual([1, 1]);
  });

  it("counts on those that are not back yet, soon after it began", async () => {
    const scene = new Scene(0);
    expect(scene.report("a", 500, { proxies: 3 })).toBeCloseTo(1 / 3, 5);
    expect(scene.report("b", 500, { proxies: 3 })).toBeCloseTo(1 / 3, 5);
    await scene.clock.advance(60_000);
    scene.report("a", 500);
    expect(scene.report("b", 500)).toBeCloseTo(0.5, 5);
  });

  it("never lets more be held together than there is, whatever is said and lost", () => {
    const step = fc.record({
      proxy: fc.constantFrom("a", "b", "c", "d"),
      demand: fc.constantFrom(0, 1, 20, 100, 1_000),
      hears: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const scene = new Scene();
        for (const proxy of ["a", "b", "c", "d"]) scene.report(proxy, 0);
        /** What each goes by, and the version. */
        const going = new Map<string, readonly [number, number]>();
        for (const { proxy, demand, hears } of steps) {
          const [, applied] = going.get(proxy) ?? [0, 0];
          const share = scene.report(proxy, demand, { applied });
          if (hears) going.set(proxy, [share, scene.replies.get(proxy)!.version]);
          const held = [...going.values()].reduce((sum, [part]) => sum + part, 0);
          expect(held).toBeLessThanOrEqual(1.1);
        }
      }),
      { numRuns: 200 },
    );
  });
});
