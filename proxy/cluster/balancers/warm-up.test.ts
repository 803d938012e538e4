import { describe, expect, it } from "vitest";
import type { LoadBalancer } from "../../../common/model/cluster.ts";
import { countPicks, fake } from "./contract.ts";
import { warmth } from "./warm-up.ts";

const warmup = { durationMs: 60_000, minimumPercent: 10, aggression: 1 };

describe("warm-up", () => {
  // covers DestinationRule trafficPolicy.loadBalancer.warmup.aggression, trafficPolicy.loadBalancer.warmup.duration
  it.each([
    [0, 1, 0.1],
    [3_000, 1, 0.1],
    [15_000, 1, 0.25],
    [30_000, 1, 0.5],
    [30_000, 2, Math.SQRT1_2],
    [60_000, 1, 1],
    [90_000, 1, 1],
  ])("gives after %i ms with aggression %f the share %f", (sinceMs, aggression, share) => {
    expect(warmth(sinceMs, { ...warmup, aggression })).toBeCloseTo(share, 6);
  });

  // covers DestinationRule trafficPolicy.loadBalancer.warmup.minimumPercent
  it.each(["round-robin", "least-request"] as const)("gives a newcomer its share of %s", (kind) => {
    const policy: LoadBalancer = { kind, warmup };
    const picks = countPicks(policy, [fake("old"), fake("new", { eligibleSince: 0 })], 11_000);
    expect(picks.new! / 11_000).toBeCloseTo(0.1 / 1.1, 1);
    expect(picks.new).toBeGreaterThan(800);
    expect(picks.new).toBeLessThan(1_200);
  });

  it("changes nothing while all are as new", () => {
    const policy: LoadBalancer = { kind: "round-robin", warmup };
    const endpoints = [fake("a", { eligibleSince: 0 }), fake("b", { eligibleSince: 0 })];
    expect(countPicks(policy, endpoints, 100)).toEqual({ a: 50, b: 50 });
  });
});
