import type { Problem } from "../common/base/problem.ts";
import { decodeResource } from "../common/xds/decode-resource.ts";
import type { StoredResource } from "./state/last-good.ts";
import type { ResourceSink, ResourceType, ResourceUpdate } from "./xds/resource-update.ts";

/** What lay on disk as the messages that brought it, in the order that makes before it breaks. What no longer decodes is left out and named. */
export function toUpdates(stored: readonly StoredResource[]): {
  readonly updates: readonly ResourceUpdate[];
  readonly problems: readonly Problem[];
} {
  const problems: Problem[] = [];
  const updates: ResourceUpdate[] = [];
  for (const type of order) {
    const updated = new Map<string, unknown>();
    for (const { name, version, bytes } of stored.filter((resource) => resource.type === type)) {
      const decoded = decodeResource(type, bytes);
      if (decoded.ok) updated.set(name, { value: decoded.value, version, bytes });
      else
        problems.push(
          ...decoded.problems.map((problem) => ({ ...problem, path: `${type} ${name} ${problem.path}` })),
        );
    }
    if (updated.size > 0) updates.push({ type, updated, removed: [] } as unknown as ResourceUpdate);
  }
  return { updates, problems };
}

/** Puts restored updates to use; answers with what of them was accepted, which is what the control plane may be told that we have. */
export async function applyRestored(
  sink: ResourceSink,
  updates: readonly ResourceUpdate[],
): Promise<readonly ResourceUpdate[]> {
  const accepted: ResourceUpdate[] = [];
  for (const update of updates) {
    const refused = new Set((await sink.apply(update)).map(({ name }) => name));
    const updated = new Map<string, unknown>([...update.updated].filter(([name]) => !refused.has(name)));
    accepted.push({ ...update, updated } as unknown as ResourceUpdate);
  }
  return accepted;
}

const order: readonly ResourceType[] = [
  "cluster",
  "endpoints",
  "route-configuration",
  "virtual-host",
  "listener",
];
