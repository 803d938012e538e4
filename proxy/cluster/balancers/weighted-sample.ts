import type { Random } from "../../../common/base/random.ts";
import type { Candidate } from "./balancer.ts";

/** Draws an index in proportion to the weights. Equal weights cost one multiplication, others a binary search. */
export function weightedSample(candidates: readonly Candidate[], random: Random): () => number {
  const count = candidates.length;
  if (haveEqualWeights(candidates)) return () => Math.floor(random() * count);
  const upTo = new Float64Array(count);
  let sum = 0;
  for (let i = 0; i < count; i++) {
    sum += candidates[i]!.weight;
    upTo[i] = sum;
  }
  return () => {
    const drawn = random() * sum;
    let low = 0;
    let high = count - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (drawn < upTo[middle]!) high = middle;
      else low = middle + 1;
    }
    return low;
  };
}

export function haveEqualWeights(candidates: readonly Candidate[]): boolean {
  return candidates.every(({ weight }) => weight === candidates[0]!.weight);
}
