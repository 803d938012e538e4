import type { Hash64 } from "../../../common/base/xxhash64.ts";
import { hashModulo, xxHash64 } from "../../../common/base/xxhash64.ts";
import type { Balancer, Candidate, Pick } from "./balancer.ts";
import { randomHash } from "./random-hash.ts";

/**
 * Consistent hashing by a table (Envoy's MAGLEV; "Maglev: A Fast and Reliable Software Network Load Balancer", section 3.4): evener than a
 * ring, and one step per pick. The table is Envoy's, so both pick the same endpoint for the same key. A request without a key goes anywhere.
 */
export const maglev: Balancer = {
  name: "maglev",
  build<C extends Candidate>(candidates: readonly C[], { policy, random }: Parameters<Balancer["build"]>[1]) {
    if (candidates.length < 2) return () => candidates[0];
    const size = policy.tableSize ?? defaultTableSize;
    // Filling 65,537 places takes milliseconds, and most clusters are never called.
    let table: Uint32Array | undefined;
    const pick: Pick<C> = (hash, tries = 0) => {
      table ??= fillTable(candidates, size);
      return candidates[table[hashModulo(turned(hash ?? randomHash(random), tries), size)]!];
    };
    return pick;
  },
};

interface Filler {
  readonly owner: number;
  readonly share: number;
  readonly skip: number;
  /** The next place on its own way through the table. */
  at: number;
  /** It takes a place once its share times the round has come up to this. */
  due: number;
}

/** Place → index of the candidate. In every round each candidate takes the first free place on its way; lighter ones sit rounds out. */
function fillTable(candidates: readonly Candidate[], size: number): Uint32Array {
  let sum = 0;
  for (const { weight } of candidates) sum += weight;
  const fillers = candidates
    .map(({ key, weight }, owner): Filler & { readonly key: string } => ({
      key,
      owner,
      share: weight / sum,
      skip: hashModulo(xxHash64(key, one), size - 1) + 1,
      at: hashModulo(xxHash64(key), size),
      due: 0,
    }))
    .sort((a, b) => (a.key < b.key ? -1 : Number(a.key > b.key)));
  const largest = Math.max(...fillers.map(({ share }) => share));
  const table = new Uint32Array(size).fill(free);
  let taken = 0;
  for (let round = 1; taken < size; round++) {
    for (const filler of fillers) {
      if (taken === size) break;
      if (round * filler.share < filler.due) continue;
      filler.due += largest;
      while (table[filler.at] !== free) filler.at = (filler.at + filler.skip) % size;
      table[filler.at] = filler.owner;
      taken++;
    }
  }
  return table;
}

/** Another place for each further try, far from the first (Envoy: the hash with the number of the try taken from 2^64 mixed in). */
function turned(hash: Hash64, tries: number): Hash64 {
  return tries === 0 ? hash : { hi: ~hash.hi >>> 0, lo: (hash.lo ^ -tries) >>> 0 };
}

const free = 0xffffffff;
const one: Hash64 = { hi: 0, lo: 1 };
/** Envoy's; a prime, as every size must be, so that each way leads through the whole table. */
const defaultTableSize = 65_537;
