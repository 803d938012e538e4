import { createHash } from "node:crypto";
import { defaultNamespace } from "./metadata.ts";

/**
 * A hash of what a user wrote: equal content gives an equal version, whatever the order of keys and wherever it stands.
 * Status and what the API server keeps in metadata are left out, because they change on their own.
 */
export function contentVersion(object: Readonly<Record<string, unknown>>): string {
  const { status: _, ...rest } = object;
  const metadata = (rest["metadata"] ?? {}) as Record<string, unknown>;
  const { name, namespace = defaultNamespace, labels, annotations } = metadata;
  const content = { ...rest, metadata: { name, namespace, labels, annotations } };
  return createHash("sha256").update(canonical(content)).digest("base64url").slice(0, 16);
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  entries.sort(([one], [other]) => (one < other ? -1 : 1));
  return `{${entries.map(([key, inner]) => `${JSON.stringify(key)}:${canonical(inner)}`).join(",")}}`;
}
