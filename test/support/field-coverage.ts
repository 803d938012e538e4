import type { SchemaField } from "../../control-plane/resources/crd/fields.ts";
import { fieldsOf, innerSchema } from "../../control-plane/resources/crd/fields.ts";
import type { StructuralSchema } from "../../control-plane/resources/crd/structural-schema.ts";
import { structuralSchema } from "../../control-plane/resources/crd/structural-schema.ts";
import { kindDefinitions } from "../../control-plane/resources/index.ts";
import { sourceFiles } from "./source-files.ts";

/** A field of a kind with the tests that show what it does. */
export interface CoveredField extends SchemaField {
  readonly kind: string;
  /** An earlier field of the kind that holds the same; what is inside is shown there. */
  readonly sameAs: string | undefined;
  /** Whether the table is incomplete while no test names it. */
  readonly needsTest: boolean;
  /** Test files, each once. */
  readonly tests: readonly string[];
}

export interface FieldCoverage {
  readonly fields: readonly CoveredField[];
  /** What is wrong with the comments, each with file:line. */
  readonly problems: readonly string[];
}

/** One path that a comment names. */
interface Claim {
  readonly file: string;
  readonly line: number;
  readonly kind: string;
  readonly path: string;
}

const commentPattern = /^\s*\/\/ covers\b\s*(?<kind>\S*)\s*(?<paths>.*)$/;
const testPattern = /^\s*(?:it|describe|test)\b/;

/**
 * Reads the comments `// covers <Kind> <path>, <path>` above tests. Each must stand directly above an `it` or a `describe`, or above
 * another such comment, and name fields that the kind's schema accepts.
 */
export function fieldCoverage(): FieldCoverage {
  const problems: string[] = [];
  const claims = sourceFiles()
    .filter(({ isTest }) => isTest)
    .flatMap(({ path, text }) => readClaims(path, text, problems));
  const byField = Map.groupBy(claims, ({ kind, path }) => `${kind} ${path}`);
  const fields = kindDefinitions.flatMap(({ kind, schema }) =>
    kindFields(kind, structuralSchema(schema), byField),
  );
  const known = new Map(fields.map((field) => [`${field.kind} ${field.path}`, field]));
  const kinds = kindDefinitions.map(({ kind }) => kind as string);
  for (const { file, line, kind, path } of claims) {
    if (!kinds.includes(kind))
      problems.push(`${file}:${line}: ${kind} is no kind; one of ${kinds.join(", ")}`);
    else if (!known.has(`${kind} ${path}`)) problems.push(`${file}:${line}: ${kind} has no field ${path}`);
    else if (known.get(`${kind} ${path}`)!.isRefused)
      problems.push(`${file}:${line}: ${kind} refuses ${path}`);
  }
  return { fields, problems };
}

function readClaims(file: string, text: string, problems: string[]): Claim[] {
  const lines = text.split("\n");
  return lines.flatMap((content, index) => {
    const found = commentPattern.exec(content)?.groups;
    if (found === undefined) return [];
    const line = index + 1;
    const below = lines.slice(line).find((next) => !commentPattern.test(next)) ?? "";
    if (!testPattern.test(below)) problems.push(`${file}:${line}: covers stands above no test`);
    const paths = found["paths"]!.split(",").map((path) => path.trim());
    if (paths.includes(""))
      problems.push(`${file}:${line}: covers wants a kind and paths with commas between`);
    return paths.filter((path) => path !== "").map((path) => ({ file, line, kind: found["kind"]!, path }));
  });
}

function kindFields(
  kind: string,
  schema: StructuralSchema,
  claims: ReadonlyMap<string, readonly Claim[]>,
): CoveredField[] {
  const first = new Map<string, string>();
  const repeats: string[] = [];
  return fieldsOf(schema).map((field) => {
    const { path, isLeaf, isRefused } = field;
    const isInside = repeats.some((repeat) => path.startsWith(`${repeat}.`));
    const sameAs = isLeaf || isInside ? undefined : repeatOf(field, first);
    if (sameAs !== undefined) repeats.push(path);
    const needsTest = !isRefused && !isInside && (isLeaf || sameAs !== undefined);
    const tests = [...new Set((claims.get(`${kind} ${path}`) ?? []).map(({ file }) => file))];
    return { ...field, kind, sameAs: isInside ? "" : sameAs, needsTest, tests };
  });
}

/** The path of the field before that holds the same fields; one field alone is too little to call it the same. */
function repeatOf({ path, schema }: SchemaField, first: Map<string, string>): string | undefined {
  const { inner } = innerSchema(schema);
  if (Object.keys(inner.properties ?? {}).length < 2) return undefined;
  const shape = JSON.stringify(inner, (key, value: unknown) => (key === "description" ? undefined : value));
  const found = first.get(shape);
  if (found === undefined) first.set(shape, path);
  return found;
}
