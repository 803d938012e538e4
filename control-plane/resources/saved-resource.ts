import { isDeepStrictEqual } from "node:util";
import type { Source } from "../../common/model/source.ts";
import { decodeObject } from "./decode.ts";
import type { CompiledResource, Resource } from "./resource.ts";

/** A resource as JSON: in the control plane's last good copy and in its `/snapshot`. */
export interface SavedResource {
  readonly object: Readonly<Record<string, unknown>>;
  readonly source: Source;
  readonly createdAt: number;
  /** With every rule's own line, which the object alone has not; Maps and bytes are wrapped. */
  readonly compiled: unknown;
}

export function saveResource({ object, source, createdAt, compiled }: Resource): SavedResource {
  return { object, source, createdAt, compiled: wrap(compiled) };
}

/**
 * The resource again; undefined when it is not valid to this version of Weft. The object is read anew, so nothing that
 * was saved is trusted; the saved compiled form only adds where each rule was written, when all else is the same.
 */
export function restoreResource(saved: unknown): Resource | undefined {
  if (!isSaved(saved)) return undefined;
  const { source, createdAt } = saved;
  const at = { file: source.file ?? "", line: source.line ?? 1 };
  const decoded = decodeObject(saved.object, {
    now: createdAt,
    ...(source.file === undefined ? {} : { locate: () => at }),
  });
  if (!decoded.ok) return undefined;
  const compiled = unwrap(saved.compiled);
  const isSame = isDeepStrictEqual(withoutSources(compiled), withoutSources(decoded.value.compiled));
  return isSame ? { ...decoded.value, compiled: compiled as CompiledResource } : decoded.value;
}

function isSaved(value: unknown): value is SavedResource {
  if (typeof value !== "object" || value === null) return false;
  const { object, source, createdAt } = value as Partial<Record<keyof SavedResource, unknown>>;
  if (typeof object !== "object" || typeof source !== "object" || source === null) return false;
  const { file, line } = source as Partial<Record<keyof Source, unknown>>;
  return (
    typeof createdAt === "number" &&
    ["string", "undefined"].includes(typeof file) &&
    ["number", "undefined"].includes(typeof line)
  );
}

function wrap(value: unknown): unknown {
  if (value instanceof Map) return { $map: [...value].map(([key, inner]) => [key, wrap(inner)]) };
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString("base64") };
  return mapInner(value, wrap);
}

function unwrap(value: unknown): unknown {
  if (typeof value === "object" && value !== null) {
    if ("$map" in value && Array.isArray(value.$map)) {
      return new Map(value.$map.map(([key, inner]: [string, unknown]) => [key, unwrap(inner)]));
    }
    if ("$bytes" in value && typeof value.$bytes === "string") {
      return new Uint8Array(Buffer.from(value.$bytes, "base64"));
    }
  }
  return mapInner(value, unwrap);
}

function withoutSources(value: unknown): unknown {
  if (value instanceof Map) return new Map([...value].map(([key, inner]) => [key, withoutSources(inner)]));
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return mapInner(value, withoutSources);
  return mapInner(
    Object.fromEntries(Object.entries(value).filter(([key]) => key !== "source")),
    withoutSources,
  );
}

function mapInner(value: unknown, change: (inner: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map(change);
  if (typeof value !== "object" || value === null || value instanceof Map) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, change(inner)]));
}
