import type { Problem } from "../../common/base/problem.ts";
import type { ResourceView } from "../../common/model/mesh-status.ts";
import type { Kind, Resource, ResourceKey } from "../resources/resource.ts";
import { formatKey, kinds } from "../resources/resource.ts";
import type { ControlPlaneApi } from "./api.ts";

/** Everything that is live or waits, in its newest version. */
export function listResources(api: ControlPlaneApi): readonly (ResourceView & ResourceKey)[] {
  const snapshot = api.snapshot();
  const newest = new Map<string, Resource>(
    snapshot.resources.map((resource) => [formatKey(resource), resource]),
  );
  for (const { key, desired, live } of snapshot.held) {
    const shown = desired ?? live;
    if (shown !== undefined) newest.set(formatKey(key), shown);
  }
  const statusOf = api.statuses();
  return [...newest.values()].sort(byKind).map((resource) => {
    const origin = api.store.sourceOf(resource);
    return {
      kind: resource.kind,
      namespace: resource.namespace,
      name: resource.name,
      apiVersion: resource.apiVersion,
      version: resource.version,
      createdAt: new Date(resource.createdAt).toISOString(),
      ...(origin === undefined ? {} : { origin }),
      source: resource.source,
      status: statusOf(resource),
      object: resource.object,
    };
  });
}

/** `virtualservice`, `VirtualServices` and `VirtualService` are one. */
export function readKind(text: string): Kind | undefined {
  const wanted = text.toLowerCase();
  return kinds.find((kind) => {
    const name = kind.toLowerCase();
    return wanted === name || wanted === (name.endsWith("y") ? `${name.slice(0, -1)}ies` : `${name}s`);
  });
}

export function unknownKind(text: string): Problem {
  return {
    path: "kind",
    why: `${JSON.stringify(text)} is not a kind`,
    hint: `known are ${kinds.join(", ")}`,
  };
}

function byKind(a: ResourceKey, b: ResourceKey): number {
  const order = kinds.indexOf(a.kind) - kinds.indexOf(b.kind);
  return order || (formatKey(a) < formatKey(b) ? -1 : 1);
}
