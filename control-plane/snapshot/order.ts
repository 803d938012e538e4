import type { Resource, ResourceKey } from "../resources/resource.ts";

/**
 * The order of resources that compete: the older one first, then by namespace and name. Everything in a snapshot that
 * depends on an order depends on this one, never on the order in which resources arrived.
 */
export function byAge(
  a: Pick<Resource, "createdAt" | "namespace" | "name">,
  b: Pick<Resource, "createdAt" | "namespace" | "name">,
): number {
  return a.createdAt - b.createdAt || compare(a.namespace, b.namespace) || compare(a.name, b.name);
}

export function byKey(a: ResourceKey, b: ResourceKey): number {
  return compare(a.kind, b.kind) || compare(a.namespace, b.namespace) || compare(a.name, b.name);
}

/** By code unit, so that the order is the same on every machine. */
export function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
