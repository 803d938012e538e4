import type { Balancer, Candidate, Pick } from "./balancer.ts";
import { haveEqualWeights } from "./weighted-sample.ts";

/**
 * Each in turn (Istio's ROUND_ROBIN). Unequal weights take turns smoothly (a a b a, never a a a b), at a cost that grows with
 * the number of endpoints. The start is random, so proxies that learn of an endpoint together do not all begin with the same one.
 */
export const roundRobin: Balancer = {
  name: "round-robin",
  build(candidates, { random }) {
    const start = Math.floor(random() * candidates.length);
    return haveEqualWeights(candidates) ? inTurn(candidates, start) : smooth(candidates, start);
  },
};

function inTurn<C extends Candidate>(candidates: readonly C[], start: number): Pick<C> {
  let next = start;
  return () => {
    const picked = candidates[next];
    next = next + 1 >= candidates.length ? 0 : next + 1;
    return picked;
  };
}

/** Every turn each candidate earns its weight; the richest is picked and pays the sum of all. */
function smooth<C extends Candidate>(candidates: readonly C[], start: number): Pick<C> {
  const count = candidates.length;
  const credit = new Float64Array(count);
  let sum = 0;
  for (const { weight } of candidates) sum += weight;
  const pick = () => {
    let richest = 0;
    for (let i = 0; i < count; i++) {
      credit[i]! += candidates[i]!.weight;
      if (credit[i]! > credit[richest]!) richest = i;
    }
    credit[richest]! -= sum;
    return candidates[richest];
  };
  for (let turn = 0; turn < Math.min(start, maxSkippedTurns); turn++) pick();
  return pick;
}

/** Bounds what building costs in large clusters; the spread of starts matters for small ones. */
const maxSkippedTurns = 64;
