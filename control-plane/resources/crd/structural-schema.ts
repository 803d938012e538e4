import { z } from "zod";

/** A JSON schema as far as Kubernetes takes it in CRDs (structural schemas). */
export interface StructuralSchema {
  readonly type?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, StructuralSchema>>;
  readonly required?: readonly string[];
  readonly items?: StructuralSchema;
  readonly additionalProperties?: StructuralSchema;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly format?: string;
  readonly "x-kubernetes-preserve-unknown-fields"?: true;
}

/**
 * The structural schema of a zod schema. It says less than zod does: what Kubernetes has no word for (our own checks) is
 * left to the control plane, and a field that is not supported yet stays open, so that it arrives there to be refused.
 */
export function structuralSchema(schema: z.ZodType): StructuralSchema {
  return convert(z.toJSONSchema(schema, { io: "input", unrepresentable: "any", reused: "inline" }));
}

function convert(json: z.core.JSONSchema._JSONSchema): StructuralSchema {
  if (typeof json === "boolean") return { "x-kubernetes-preserve-unknown-fields": true };
  const description = json.description === undefined ? {} : { description: json.description };
  const notYet: unknown = json["notYet"];
  if (notYet !== undefined) {
    return {
      description: `Not supported yet: refused by Weft${typeof notYet === "string" ? `; ${notYet}` : ""}.`,
      "x-kubernetes-preserve-unknown-fields": true,
    };
  }
  if (json.type === undefined) return { ...description, "x-kubernetes-preserve-unknown-fields": true };
  if (json.type === "object") return { ...description, ...convertObject(json) };
  return {
    ...description,
    type: String(json.type),
    ...(json.type === "array"
      ? { items: convert((json.items ?? true) as z.core.JSONSchema._JSONSchema) }
      : {}),
    ...(json.enum === undefined ? {} : { enum: json.enum }),
    ...pick(json, ["minimum", "maximum", "minLength", "maxLength", "minItems"]),
    ...(json.type === "integer" ? { format: "int64" } : {}),
    ...(json.contentEncoding === "base64" ? { format: "byte" } : {}),
  };
}

function convertObject(json: z.core.JSONSchema.JSONSchema): StructuralSchema {
  const properties = Object.entries(json.properties ?? {});
  if (properties.length > 0) {
    return {
      type: "object",
      ...(json.required === undefined || json.required.length === 0 ? {} : { required: json.required }),
      properties: Object.fromEntries(properties.map(([name, inner]) => [name, convert(inner)])),
    };
  }
  return { type: "object", additionalProperties: convert(json.additionalProperties ?? true) };
}

function pick<N extends string>(
  json: z.core.JSONSchema.JSONSchema,
  names: readonly N[],
): { [key in N]?: number } {
  const found = names.flatMap((name) =>
    typeof json[name] === "number" ? [[name, json[name]] as const] : [],
  );
  return Object.fromEntries(found) as { [key in N]?: number };
}
