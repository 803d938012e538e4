type AnyMap = ReadonlyMap<string, unknown>;

const known = new WeakMap<AnyMap, WeakMap<AnyMap, ReadonlySet<string>>>();

/** The keys under which two maps don't hold the same object. Compared once for all who ask about the same two. */
export function changedKeys(before: AnyMap, after: AnyMap): ReadonlySet<string> {
  if (before === after) return none;
  const answers = known.get(after) ?? new WeakMap<AnyMap, ReadonlySet<string>>();
  known.set(after, answers);
  let changed = answers.get(before);
  if (changed === undefined) {
    changed = new Set([
      ...[...after].filter(([key, value]) => before.get(key) !== value).map(([key]) => key),
      ...[...before.keys()].filter((key) => !after.has(key)),
    ]);
    answers.set(before, changed);
  }
  return changed;
}

const none: ReadonlySet<string> = new Set();
