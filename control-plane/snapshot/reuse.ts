import { isDeepStrictEqual } from "node:util";

/** What each value was built from; identity of the inputs is all that counts. */
const inputsOf = new WeakMap<object, readonly unknown[]>();

/**
 * Gives `previous` back when it was built from the same inputs, or when building anew gives equal content; so a value
 * changes its identity exactly when its content changes. New values are frozen deeply.
 */
export function reuse<T extends object>(
  previous: T | undefined,
  inputs: readonly unknown[],
  build: () => T,
): T {
  if (previous === undefined) return remember(deepFreeze(build()), inputs);
  const before = inputsOf.get(previous);
  if (before !== undefined && sameElements(before, inputs)) return previous;
  const built = build();
  return remember(isDeepStrictEqual(previous, built) ? previous : deepFreeze(built), inputs);
}

/** `reuse` for values that live in a map under a key; the map gets what it returns. */
export function reuseIn<T extends object>(
  cache: Map<string, T>,
  key: string,
  inputs: readonly unknown[],
  build: () => T,
): T {
  const value = reuse(cache.get(key), inputs, build);
  cache.set(key, value);
  return value;
}

/** `next` with every element that equals one of `previous` replaced by that one; `nameOf` says which may equal which. */
export function keepElements<T extends object>(
  previous: readonly T[] | undefined,
  next: readonly T[],
  nameOf: (element: T) => string,
): readonly T[] {
  if (previous === undefined) return next;
  const before = new Map(previous.map((element) => [nameOf(element), element]));
  return next.map((element) => {
    const old = before.get(nameOf(element));
    return old !== undefined && isDeepStrictEqual(old, element) ? old : element;
  });
}

/** `previous` when it holds the same elements under the same keys in the same order, else `next`. */
export function keepMap<K, V>(
  previous: ReadonlyMap<K, V> | undefined,
  next: ReadonlyMap<K, V>,
): ReadonlyMap<K, V> {
  if (previous?.size !== next.size) return next;
  const before = previous.entries();
  for (const [key, value] of next) {
    const [oldKey, oldValue] = before.next().value!;
    if (oldKey !== key || oldValue !== value) return next;
  }
  return previous;
}

/** `previous` when it has the same elements, else `next`. */
export function keepList<T>(previous: readonly T[] | undefined, next: readonly T[]): readonly T[] {
  return previous !== undefined && sameElements(previous, next) ? previous : next;
}

function remember<T extends object>(value: T, inputs: readonly unknown[]): T {
  inputsOf.set(value, inputs);
  return value;
}

function sameElements(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((element, index) => element === b[index]);
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  // Typed arrays with elements can't be frozen, and a Map's entries can't either; the types say readonly.
  if (ArrayBuffer.isView(value)) return value;
  Object.freeze(value);
  for (const inner of value instanceof Map ? value.values() : Object.values(value)) deepFreeze(inner);
  return value;
}
