import type { Random } from "../../../common/base/random.ts";
import type { Hash64 } from "../../../common/base/xxhash64.ts";

/** For a request without a key (Envoy draws one too). */
export function randomHash(random: Random): Hash64 {
  return { hi: Math.floor(random() * 2 ** 32), lo: Math.floor(random() * 2 ** 32) };
}
