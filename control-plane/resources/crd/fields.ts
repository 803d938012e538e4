import type { StructuralSchema } from "./structural-schema.ts";

/** One field of a kind, as the reference lists it. */
export interface SchemaField {
  /** Below `spec`, with `[]` after lists and `{}` after maps: `http[].match[].headers{}`. */
  readonly path: string;
  readonly schema: StructuralSchema;
  readonly isRequired: boolean;
  /** Known by name, and not supported yet. */
  readonly isRefused: boolean;
  /** Holds a value itself, in contrast to an object whose fields come after it. */
  readonly isLeaf: boolean;
}

/** All fields of a kind's schema, each before those inside it, in the order in which the schema has them. */
export function fieldsOf(schema: StructuralSchema, path = ""): readonly SchemaField[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const own = path === "" ? name : `${path}.${name}`;
    const isRequired = schema.required?.includes(name) ?? false;
    const isRefused = field["x-kubernetes-preserve-unknown-fields"] === true;
    if (isRefused) return [{ path: own, schema: field, isRequired, isRefused, isLeaf: true }];
    const { inner, suffix } = innerSchema(field);
    const isLeaf = inner.properties === undefined || isStringMatch(inner);
    const found = { path: own + suffix, schema: field, isRequired, isRefused, isLeaf };
    return isLeaf ? [found] : [found, ...fieldsOf(inner, own + suffix)];
  });
}

/** What a list or map holds, else the field itself, and how its path ends. */
export function innerSchema(field: StructuralSchema): {
  readonly inner: StructuralSchema;
  readonly suffix: "[]" | "{}" | "";
} {
  if (field.items) return { inner: field.items, suffix: "[]" };
  if (field.additionalProperties) return { inner: field.additionalProperties, suffix: "{}" };
  return { inner: field, suffix: "" };
}

/** Istio's StringMatch, which is written as one value. */
export function isStringMatch(field: StructuralSchema): boolean {
  return Object.keys(field.properties ?? {}).join() === "exact,prefix,regex";
}
