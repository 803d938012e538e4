import type { EncodedResource } from "../../common/xds/encoded-resource.ts";

type Resources = ReadonlyMap<string, EncodedResource>;

/** What changed from one map of resources to the next. */
export interface MapChanges {
  /** New or with another version. */
  readonly changed: readonly EncodedResource[];
  readonly removed: readonly string[];
}

const known = new WeakMap<Resources, WeakMap<Resources, MapChanges>>();

/** Compared once for all proxies that go from the same map to the same map, which are most of them. */
export function mapChanges(before: Resources, after: Resources): MapChanges {
  let fromBefore = known.get(before);
  if (!fromBefore) {
    fromBefore = new WeakMap();
    known.set(before, fromBefore);
  }
  let changes = fromBefore.get(after);
  if (!changes) {
    const changed = [...after.values()].filter(({ name, version }) => before.get(name)?.version !== version);
    const removed = [...before.keys()].filter((name) => !after.has(name));
    changes = { changed, removed };
    fromBefore.set(after, changes);
  }
  return changes;
}
