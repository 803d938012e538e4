import type { Labels, Workload } from "../model/endpoint.ts";
import type { Source } from "../model/source.ts";
import type messages from "./generated/messages.js";

type Metadata = messages.envoy.config.core.v3.Metadata;
type Struct = messages.google.protobuf.Struct;
type Value = messages.google.protobuf.Value;

/** JSON as google.protobuf.Struct carries it. Objects have no prototype, so `__proto__` is just a key. */
export type Json = string | number | boolean | undefined | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

const key = "weft";

/** What Envoy has no field for, under `filter_metadata.weft`; undefined when there is nothing to say. */
export function toWeftMetadata(content: JsonObject): Metadata | undefined {
  const struct = toStruct(content);
  return Object.keys(struct.fields ?? {}).length === 0 ? undefined : { filterMetadata: { [key]: struct } };
}

export function fromWeftMetadata(metadata: Metadata | null | undefined): JsonObject {
  const all = metadata?.filterMetadata;
  return all && Object.hasOwn(all, key) ? fromStruct(all[key]) : Object.create(null);
}

/** Members that are undefined are left out. */
export function toStruct(content: JsonObject): Struct {
  const fields: [string, Value][] = [];
  for (const [name, value] of Object.entries(content))
    if (value !== undefined) fields.push([name, toValue(value)]);
  return { fields: Object.fromEntries(fields) };
}

export function fromStruct(struct: Struct | null | undefined): JsonObject {
  const content: Record<string, Json> = Object.create(null);
  for (const [name, value] of Object.entries(struct?.fields ?? {})) content[name] = fromValue(value);
  return content;
}

function toValue(value: Json): Value {
  if (value === undefined) return { nullValue: 0 };
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "number") return { numberValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  if (isList(value)) return { listValue: { values: value.map(toValue) } };
  return { structValue: toStruct(value) };
}

export function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

function fromValue(value: Value): Json {
  if (typeof value.stringValue === "string") return value.stringValue;
  if (typeof value.numberValue === "number") return value.numberValue;
  if (typeof value.boolValue === "boolean") return value.boolValue;
  if (value.listValue) return (value.listValue.values ?? []).map(fromValue);
  if (value.structValue) return fromStruct(value.structValue);
  return undefined;
}

export function sourceToJson(source: Source | undefined): JsonObject | undefined {
  return source && { ...source };
}

/** Undefined when there is none or it lacks a name; provenance is never worth a NACK. */
export function sourceFromJson(json: Json): Source | undefined {
  const kind = text(json, "kind");
  const namespace = text(json, "namespace");
  const name = text(json, "name");
  if (kind === undefined || namespace === undefined || name === undefined) return undefined;
  const file = text(json, "file");
  const line = member(json, "line");
  return {
    kind,
    namespace,
    name,
    ...(file === undefined ? {} : { file }),
    ...(typeof line === "number" ? { line } : {}),
  };
}

export function workloadToJson(workload: Workload | undefined): JsonObject | undefined {
  return workload && { ...workload };
}

export function workloadFromJson(json: Json): Workload | undefined {
  const name = text(json, "name");
  if (name === undefined) return undefined;
  return {
    name,
    namespace: text(json, "namespace") ?? "",
    serviceAccount: text(json, "serviceAccount") ?? "",
    labels: labelsFromJson(member(json, "labels")),
  };
}

export function labelsFromJson(json: Json): Labels {
  const pairs = isObject(json) ? Object.entries(json) : [];
  return Object.fromEntries(pairs.filter((pair): pair is [string, string] => typeof pair[1] === "string"));
}

export function member(json: Json, name: string): Json {
  return isObject(json) && Object.hasOwn(json, name) ? json[name] : undefined;
}

export function text(json: Json, name: string): string | undefined {
  const value = member(json, name);
  return typeof value === "string" ? value : undefined;
}

/** Undefined unless it is a finite number ≥ 0. */
export function number(json: Json, name: string): number | undefined {
  const value = member(json, name);
  return typeof value === "number" && value >= 0 && Number.isFinite(value) ? value : undefined;
}

function isObject(json: Json): json is JsonObject {
  return typeof json === "object" && !isList(json);
}
