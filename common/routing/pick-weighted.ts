import type { Random } from "../base/random.ts";

/**
 * Picks one item with a chance in proportion to its weight; an item of weight 0 is never picked unless it is the only one.
 * At least one item. Chance is drawn only when there is a choice.
 */
export function pickWeighted<D extends { readonly weight: number }>(items: readonly D[], random: Random): D {
  if (items.length === 1) return items[0]!;
  let total = 0;
  for (const item of items) total += item.weight;
  let point = random() * total;
  let last = items[0]!;
  for (const item of items) {
    if (item.weight <= 0) continue;
    if (point < item.weight) return item;
    point -= item.weight;
    last = item;
  }
  // Rounding can leave the point at the very end.
  return last;
}
