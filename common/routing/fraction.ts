import type { Random } from "../base/random.ts";

/** True for `fraction` (0..1) of the calls. 0 is never and 1 always, without drawing chance. */
export function isChosen(fraction: number, random: Random): boolean {
  if (fraction <= 0) return false;
  return fraction >= 1 || random() < fraction;
}
