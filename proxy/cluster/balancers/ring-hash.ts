import type { Hash64 } from "../../../common/base/xxhash64.ts";
import { xxHash64 } from "../../../common/base/xxhash64.ts";
import type { Balancer, Candidate, Pick } from "./balancer.ts";
import { randomHash } from "./random-hash.ts";

/**
 * Consistent hashing on a ring (Envoy's RING_HASH): every endpoint stands at as many places as its weight earns, and a request goes to
 * the first one at or after its hash. The places are Envoy's, so both pick the same endpoint for the same key. A request without a key
 * goes anywhere.
 */
export const ringHash: Balancer = {
  name: "ring-hash",
  build<C extends Candidate>(candidates: readonly C[], { policy, random }: Parameters<Balancer["build"]>[1]) {
    if (candidates.length < 2) return () => candidates[0];
    // Most clusters are never called, and a large ring takes a while.
    let ring: Ring | undefined;
    const pick: Pick<C> = (hash, tries = 0) => {
      ring ??= buildRing(candidates, policy.minimumRingSize ?? defaultRingSize);
      const place = placeAfter(ring, hash ?? randomHash(random));
      return candidates[ring.owner[(place + tries) % ring.owner.length]!];
    };
    return pick;
  },
};

/** Places in ascending order of their hash, in three columns. */
interface Ring {
  readonly high: Uint32Array;
  readonly low: Uint32Array;
  readonly owner: Uint32Array;
}

function buildRing(candidates: readonly Candidate[], minimumSize: number): Ring {
  let sum = 0;
  for (const { weight } of candidates) sum += weight;
  const shares = candidates.map(({ weight }) => weight / sum);
  const least = Math.min(...shares);
  // The lightest endpoint has a whole number of places. The sums below run as doubles in the order of the endpoints, as in Envoy.
  const size = Math.min(Math.ceil(least * minimumSize) / least, maximumRingSize);
  const places: { readonly hash: Hash64; readonly owner: number }[] = [];
  let target = 0;
  for (const [owner, { key }] of candidates.entries()) {
    target += size * shares[owner]!;
    for (let i = 0; places.length < target; i++) places.push({ hash: xxHash64(`${key}_${i}`), owner });
  }
  places.sort((a, b) => a.hash.hi - b.hash.hi || a.hash.lo - b.hash.lo);
  return {
    high: Uint32Array.from(places, ({ hash }) => hash.hi),
    low: Uint32Array.from(places, ({ hash }) => hash.lo),
    owner: Uint32Array.from(places, ({ owner }) => owner),
  };
}

function placeAfter({ high, low }: Ring, { hi, lo }: Hash64): number {
  let from = 0;
  let to = high.length;
  while (from < to) {
    const middle = (from + to) >>> 1;
    const isBefore = high[middle]! < hi || (high[middle]! === hi && low[middle]! < lo);
    if (isBefore) from = middle + 1;
    else to = middle;
  }
  return from === high.length ? 0 : from;
}

/** Envoy's. */
const defaultRingSize = 1_024;
const maximumRingSize = 8 * 1_024 * 1_024;
