import type { Balancer, Candidate } from "./balancer.ts";
import { weightedSample } from "./weighted-sample.ts";

/**
 * Of two endpoints drawn by weight the one with the smaller cost: response time × (requests under way + 1) ÷ weight (own value PEAK_EWMA).
 * One that has never answered is tried with a single request and costs more than any other until that is answered, so a cold start
 * is not flooded.
 */
export const peakEwma: Balancer = {
  name: "peak-ewma",
  build(candidates, { random, clock }) {
    const count = candidates.length;
    if (count < 2) return () => candidates[0];
    const sample = weightedSample(candidates, random);
    return () => {
      const first = sample();
      let second = sample();
      if (second === first) second = (first + 1 + Math.floor(random() * (count - 1))) % count;
      const one = candidates[first]!;
      const other = candidates[second]!;
      const now = clock.monotonic();
      return costOf(other, now) < costOf(one, now) ? other : one;
    };
  },
};

function costOf({ latency, active, weight }: Candidate, now: number): number {
  if (latency?.isMeasured === true) return (latency.at(now) * (active + 1)) / weight;
  return active === 0 ? 0 : (coldStartMs * active) / weight;
}

/** Longer than any response that a client waits for. */
const coldStartMs = 3_600_000;
