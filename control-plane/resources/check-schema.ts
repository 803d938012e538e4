import { z } from "zod";
import { closestName } from "../../common/base/closest.ts";
import type { FieldPath, FieldProblem } from "./field-problem.ts";

export interface Checked<T> {
  readonly problems: readonly FieldProblem[];
  /**
   * The input without the fields that have problems, so that the checks of whole objects can go on and all problems are
   * told at once; undefined when nothing sound remains.
   */
  readonly value: T | undefined;
}

const otherwise = "Invalid input";

/** zod's own messages ask values for their constructor's name and throw on some; ours are worded below instead. */
const parsing: z.core.ParseContext<z.core.$ZodIssue> = { reportInput: true, error: () => otherwise };

/** Compares an input with a zod schema and words what differs. */
export function checkSchema<S extends z.ZodType>(schema: S, input: unknown): Checked<z.infer<S>> {
  const first = schema.safeParse(input, parsing);
  if (first.success) return { problems: [], value: first.data };
  const { issues } = first.error;
  const problems = withoutFollowOns(schema, issues).flatMap((issue) => wordIssue(schema, issue, input));
  return { problems, value: salvage(schema, input, issues) };
}

/**
 * A misspelt field must not also be told as a missing one: a check of the whole object waits until its fields are right,
 * and so does the field that the misspelt one was meant to be.
 */
function withoutFollowOns(
  schema: z.ZodType,
  issues: readonly z.core.$ZodIssue[],
): readonly z.core.$ZodIssue[] {
  const above = new Set<string>();
  const meant = new Set<string>();
  for (const issue of issues) {
    const path = plainPath(issue.path);
    const isUnknown = issue.code === "unrecognized_keys";
    for (let length = 0; length < path.length + (isUnknown ? 1 : 0); length++) {
      above.add(JSON.stringify(path.slice(0, length)));
    }
    if (!isUnknown) continue;
    const known = knownFields(schema, path);
    for (const key of issue.keys) meant.add(JSON.stringify([...path, closestName(key, known)]));
  }
  return issues.filter((issue) => {
    const path = JSON.stringify(plainPath(issue.path));
    if (issue.code === "custom") return !above.has(path);
    return !(issue.code === "invalid_type" && issue.input === undefined && meant.has(path));
  });
}

function plainPath(path: readonly PropertyKey[]): FieldPath {
  return path.map((part) => (typeof part === "symbol" ? String(part) : part));
}

function salvage<S extends z.ZodType>(
  schema: S,
  input: unknown,
  issues: readonly z.core.$ZodIssue[],
): z.infer<S> | undefined {
  const rest: unknown = structuredClone(input);
  let left = issues;
  // Each round removes at least one field, and a missing one takes its parent with it, so the rounds end at the top.
  while (left.length > 0) {
    const removed = new Set<string>();
    for (const issue of left) {
      const paths =
        issue.code === "unrecognized_keys" ? issue.keys.map((key) => [...issue.path, key]) : [issue.path];
      for (const path of paths) if (!removeField(rest, path, removed)) return undefined;
    }
    const again = schema.safeParse(rest, parsing);
    if (again.success) return again.data;
    left = again.error.issues;
  }
  return undefined;
}

/**
 * Removes the field, or the nearest one above that is a key of an object and exists; `removed` holds what this round
 * removed already. False at the top.
 */
function removeField(root: unknown, path: readonly PropertyKey[], removed: Set<string>): boolean {
  for (let length = path.length; length > 0; length--) {
    if (removed.has(JSON.stringify(path.slice(0, length)))) return true;
    const parent = path.slice(0, length - 1).reduce<unknown>(childOf, root);
    const key = path[length - 1]!;
    if (typeof parent !== "object" || parent === null || Array.isArray(parent) || !Object.hasOwn(parent, key))
      continue;
    Reflect.deleteProperty(parent, key);
    removed.add(JSON.stringify(path.slice(0, length)));
    return true;
  }
  return false;
}

function childOf(parent: unknown, key: PropertyKey): unknown {
  if (typeof parent !== "object" || parent === null || !Object.hasOwn(parent, key)) return undefined;
  return (parent as Record<PropertyKey, unknown>)[key];
}

function wordIssue(schema: z.ZodType, issue: z.core.$ZodIssue, input: unknown): FieldProblem[] {
  const path = plainPath(issue.path);
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => unknownField(schema, path, key));
    case "invalid_key":
      return issue.issues.flatMap((inner) => wordIssue(schema, { ...inner, path: issue.path }, input));
    case "invalid_type":
      return [wrongType(path, issue, path.reduce<unknown>(childOf, input))];
    case "invalid_value":
      return [wrongChoice(path, issue.values.map(String), path.reduce<unknown>(childOf, input))];
    case "too_big":
      // zod's own limit of integers; the field's is told beside it.
      return issue.maximum === Number.MAX_SAFE_INTEGER ? [] : [{ path, why: wordOf(issue, "is too large") }];
    case "too_small":
      if (issue.minimum === Number.MIN_SAFE_INTEGER) return [];
      if (issue.origin === "array")
        return [{ path, why: `needs at least ${issue.minimum}`, hint: "give at least one" }];
      return [{ path, why: wordOf(issue, issue.origin === "string" ? "is empty" : "is too small") }];
    case "custom": {
      const hint: unknown = issue.params?.["hint"];
      return [{ path, why: issue.message, ...(typeof hint === "string" ? { hint } : {}) }];
    }
    default:
      return [{ path, why: wordOf(issue, "is not valid") }];
  }
}

/** What the field says itself, else `fallback`. */
function wordOf(issue: z.core.$ZodIssue, fallback: string): string {
  return issue.message === otherwise ? fallback : issue.message;
}

function unknownField(schema: z.ZodType, path: FieldPath, key: string): FieldProblem {
  const known = knownFields(schema, path);
  const closest = closestName(key, known);
  const hint = closest ? `did you mean ${JSON.stringify(closest)}?` : `known here: ${known.join(", ")}`;
  const meant = closest === undefined ? {} : { meant: [...path, closest] };
  return { path: [...path, key], why: "is not a known field", hint, ...meant };
}

function wrongType(
  path: FieldPath,
  { expected, message }: z.core.$ZodIssueInvalidType,
  actual: unknown,
): FieldProblem {
  if (actual === undefined) return { path, why: "is missing", hint: `it must be ${nounOf(expected)}` };
  if (actual === null) return { path, why: "is empty", hint: "give it a value or remove it" };
  // A field with words of its own for this knows more than its type.
  if (message !== otherwise) return { path, why: message };
  const why = `must be ${nounOf(expected)}, not ${describe(actual)}`;
  if (expected === "string" && typeof actual !== "object")
    return { path, why, hint: `put it in quotes: "${String(actual)}"` };
  const isNumber = expected === "number" || expected === "int";
  if (isNumber && typeof actual === "string" && actual !== "" && Number.isFinite(Number(actual))) {
    return { path, why, hint: `write it without quotes: ${actual}` };
  }
  return { path, why };
}

function wrongChoice(path: FieldPath, choices: readonly string[], actual: unknown): FieldProblem {
  if (actual === undefined) return { path, why: "is missing", hint: `one of ${choices.join(", ")}` };
  const closest = typeof actual === "string" ? closestName(actual, choices) : undefined;
  const hint = closest
    ? `did you mean ${closest}? (one of ${choices.join(", ")})`
    : `one of ${choices.join(", ")}`;
  return { path, why: `${describe(actual)} is not one of the choices`, hint };
}

function nounOf(expected: string): string {
  const nouns: Record<string, string> = {
    string: "a text",
    number: "a number",
    int: "a whole number",
    boolean: "true or false",
    object: "an object with fields",
    record: "an object of keys and values",
    array: "a list",
  };
  return nouns[expected] ?? expected;
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "an object";
  return JSON.stringify(value) ?? String(value);
}

/** The field names that the schema knows at a path. */
function knownFields(schema: z.core.$ZodType, path: FieldPath): readonly string[] {
  let at: z.core.$ZodType | undefined = schema;
  for (const part of path) at = at && innerSchema(unwrap(at), part);
  const target = at && unwrap(at);
  return target instanceof z.ZodObject ? Object.keys(target.shape) : [];
}

function innerSchema(schema: z.core.$ZodType, part: string | number): z.core.$ZodType | undefined {
  if (schema instanceof z.ZodObject) return schema.shape[part];
  if (schema instanceof z.ZodArray) return schema.element;
  if (schema instanceof z.ZodRecord) return schema.valueType;
  return undefined;
}

function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  return schema instanceof z.ZodOptional ? unwrap(schema.unwrap()) : schema;
}
