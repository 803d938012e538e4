import type { Problem } from "../common/base/problem.ts";
import type { Result } from "../common/base/result.ts";
import { decodeCluster } from "../common/xds/cluster.ts";
import { decodeEndpoints } from "../common/xds/endpoint.ts";
import { decodeListener } from "../common/xds/listener.ts";
import { decodeRouteConfiguration, decodeVirtualHost } from "../common/xds/route.ts";
import type { StoredResource } from "./state/last-good.ts";
import type { ResourceType, ResourceUpdate } from "./xds/resource-update.ts";

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
      const decoded = decoders[type](bytes);
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

const order: readonly ResourceType[] = [
  "cluster",
  "endpoints",
  "route-configuration",
  "virtual-host",
  "listener",
];

const decoders: Readonly<Record<ResourceType, (bytes: Uint8Array) => Result<unknown>>> = {
  cluster: decodeCluster,
  endpoints: decodeEndpoints,
  "route-configuration": decodeRouteConfiguration,
  "virtual-host": decodeVirtualHost,
  listener: decodeListener,
};
