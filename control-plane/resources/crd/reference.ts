import { kindDefinitions } from "../index.ts";
import type { KindDefinition } from "../kind.ts";
import type { SchemaField } from "./fields.ts";
import { fieldsOf, isStringMatch } from "./fields.ts";
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
  const fields = fieldsOf(structuralSchema(definition.schema));
  const rows = fields.filter(({ isRefused }) => !isRefused).map(row);
  const later = fields.filter(({ isRefused }) => isRefused).map(({ path }) => `\`${path}\``);
  const notYet = later.length === 0 ? "" : `\nNot yet: ${later.join(", ")}.\n`;
  return `\n## ${definition.kind}\n\n${table([["field", "type", ""], ...rows])}\n${notYet}`;
}

function row({ path, schema, isRequired }: SchemaField): string[] {
  const says = `${isRequired ? "required. " : ""}${cell(schema.description ?? "")}`.trim();
  return [`\`${path}\``, typeName(schema), says];
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
