import { kindDefinitions } from "../index.ts";
import type { KindDefinition } from "../kind.ts";
import type { StructuralSchema } from "./structural-schema.ts";
import { structuralSchema } from "./structural-schema.ts";

const introduction = `# Resources

Written by \`npm run crds\` from the schemas in [control-plane/resources](../../control-plane/resources/index.ts); a test fails when it is stale.

The names, meanings and defaults are Istio's (\`networking.istio.io\`, where v1, v1beta1 and v1alpha3 are read alike). What differs or is easily missed:

- An unknown field is refused with the closest known one. A field that Istio has and Weft has not yet is refused by name, never ignored; \`status\` is ignored.
- An object without \`metadata.namespace\` is in \`default\`. A host without a dot gets the namespace of the resource that wrote it (\`reviews\` → \`reviews.default.svc.cluster.local\`), also in a ServiceEntry; a host with a dot, such as \`reviews.other\`, is taken as it is.
- One destination gets everything, whatever its weight; of several, those without a weight get nothing, and the sum must be above 0.
- \`timeout: 0s\` means none; a fault without percentage injects nothing; retries without \`retryOn\` happen on connect-failure, refused-stream, unavailable and cancelled.
- Regular expressions are RE2 and match the whole value. They run in linear time, so \`(a+)+$\` is harmless; what compiles to a large program is refused.
- Limits: 16 MiB a file, 4 MiB a document, 20,000 documents a file, 64 levels, 10,000 values added by YAML aliases. Duplicate keys and the key \`__proto__\` are refused.
- Other objects in the same folder (Deployments and the like) are left out with a notice; policies of kinds that come later, such as AuthorizationPolicy, are refused.
- A document that turned bad changes nothing: the last good version stays. Of two definitions of one name the older stays. What was applied through the API comes before the folder of configuration, and deleting it brings the folder's version back.
`;

/** The reference page of all kinds, `docs/reference/resources.md`. */
export function resourceReference(): string {
  return `${introduction}${kindDefinitions.map(section).join("")}`;
}

function section(definition: KindDefinition): string {
  const schema = structuralSchema(definition.schema);
  const rows = fieldRows(schema, "");
  const later = laterFields(schema, "");
  const notYet = later.length === 0 ? "" : `\nNot yet: ${later.map((field) => `\`${field}\``).join(", ")}.\n`;
  return `\n## ${definition.kind}\n\n${table([["field", "type", ""], ...rows])}\n${notYet}`;
}

function fieldRows(schema: StructuralSchema, path: string): string[][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    if (isLater(field)) return [];
    const own = path === "" ? name : `${path}.${name}`;
    const { inner, suffix } = innerSchema(field);
    const must = schema.required?.includes(name) ? "required. " : "";
    const says = `${must}${cell(field.description ?? "")}`.trim();
    const row = [`\`${own}${suffix}\``, typeName(field), says];
    return isStringMatch(inner) ? [row] : [row, ...fieldRows(inner, `${own}${suffix}`)];
  });
}

function laterFields(schema: StructuralSchema, path: string): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const own = path === "" ? name : `${path}.${name}`;
    if (isLater(field)) return [own];
    const { inner, suffix } = innerSchema(field);
    return laterFields(inner, `${own}${suffix}`);
  });
}

function innerSchema(field: StructuralSchema): { readonly inner: StructuralSchema; readonly suffix: string } {
  if (field.items) return { inner: field.items, suffix: "[]" };
  if (field.additionalProperties) return { inner: field.additionalProperties, suffix: "{}" };
  return { inner: field, suffix: "" };
}

function isLater(field: StructuralSchema): boolean {
  return field["x-kubernetes-preserve-unknown-fields"] === true;
}

function isStringMatch(field: StructuralSchema): boolean {
  return Object.keys(field.properties ?? {}).join() === "exact,prefix,regex";
}

function typeName(field: StructuralSchema): string {
  if (isStringMatch(field)) return "exact, prefix or regex";
  if (field.enum) return field.enum.join(", ");
  if (field.items) return `list of ${typeName(field.items)}`;
  if (field.additionalProperties) return `map of ${typeName(field.additionalProperties)}`;
  if (field.minimum !== undefined) return `${field.minimum}..${field.maximum}`;
  return field.type ?? "any";
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}

/** Columns padded as Biome writes them. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(3, ...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((text, column) => text.padEnd(widths[column]!)).join(" | ")} |`;
  const [head = [], ...body] = rows;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...body.map(line)].join("\n");
}
