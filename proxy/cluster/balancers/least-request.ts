import type { Balancer } from "./balancer.ts";
import { weightedSample } from "./weighted-sample.ts";

/**
 * Power of two choices (Istio's LEAST_REQUEST, Envoy's choice_count 2): of two endpoints drawn by weight, the one with fewer requests
 * under way for its weight. A tie goes to the first drawn, so an idle cluster splits exactly by weight.
 */
export const leastRequest: Balancer = {
  name: "least-request",
  build(candidates, { random }) {
    const count = candidates.length;
    if (count < 2) return () => candidates[0];
    const sample = weightedSample(candidates, random);
    return () => {
      const first = sample();
      let second = sample();
      if (second === first) second = (first + 1 + Math.floor(random() * (count - 1))) % count;
      const one = candidates[first]!;
      const other = candidates[second]!;
      return other.active * one.weight < one.active * other.weight ? other : one;
    };
  },
};
