import type { Balancer } from "./balancer.ts";
import { weightedSample } from "./weighted-sample.ts";

/** Any endpoint, as often as its weight says (Istio's RANDOM). */
export const random: Balancer = {
  name: "random",
  build(candidates, { random: chance }) {
    const sample = weightedSample(candidates, chance);
    return () => candidates[sample()];
  },
};
