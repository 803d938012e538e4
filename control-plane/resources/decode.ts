import type { FilePosition, Problem } from "../../common/base/problem.ts";
import type { Failed, Ok } from "../../common/base/result.ts";
import { failed } from "../../common/base/result.ts";
import { checkSchema } from "./check-schema.ts";
import { contentVersion } from "./content-version.ts";
import type { FieldPath, FieldProblem } from "./field-problem.ts";
import { below, formatFieldPath } from "./field-problem.ts";
import { compileLabels } from "./fields/labels.ts";
import type { KindDefinition, SpecContext } from "./kind.ts";
import type { ObjectFrame } from "./metadata.ts";
import { defaultNamespace, objectFrame } from "./metadata.ts";
import { checkOwnAnnotations } from "./own-annotations.ts";
import { checkPlainObject } from "./plain-object.ts";
import { recognize } from "./recognize.ts";
import type { Resource } from "./resource.ts";

/** Where an object came from. */
export interface DecodeContext {
  /** Becomes `createdAt`, ms since the epoch; the store keeps that of the first time. */
  readonly now: number;
  /** Where a field is written, when the object came from a file; gives problems their place and routes their provenance. */
  readonly locate?: (path: FieldPath) => FilePosition;
}

/** A Result whose success can carry warnings. */
export type DecodeResult = (Ok<Resource> & { readonly warnings: readonly Problem[] }) | Failed;

/**
 * Reads one object, from YAML or from an API: all its problems, or the resource that it is. Never throws, whatever the input.
 */
export function decodeObject(object: unknown, context: DecodeContext): DecodeResult {
  const unsafe = checkPlainObject(object);
  if (unsafe.length > 0) return failed(unsafe.map((problem) => place(problem, context)));
  if (typeof object !== "object" || object === null || Array.isArray(object)) {
    const why = "is not an object with apiVersion, kind, metadata and spec";
    return failed([place({ path: [], why, hint: "one resource per document, separated by ---" }, context)]);
  }
  const recognized = recognize(object as Record<string, unknown>);
  if (recognized.as === "mistake") return failed([place(recognized.problem, context)]);
  if (recognized.as === "foreign") return failed([place({ path: [], why: recognized.why }, context)]);
  if (recognized.as === "retired") {
    const why = `was retired; its successor is ${recognized.successor}`;
    return failed([place({ path: ["kind"], why, hint: "weft convert FILE writes it" }, context)]);
  }
  return decodeKind(recognized.definition, object as Record<string, unknown>, context);
}

function decodeKind(
  definition: KindDefinition,
  object: Record<string, unknown>,
  context: DecodeContext,
): DecodeResult {
  const frame = checkSchema(objectFrame, object);
  const metadata = frame.value?.metadata;
  const spec = specContext(definition, metadata, context);
  const read = object["spec"] === undefined ? missingSpec : definition.read(object["spec"], spec);
  const found = [
    ...frame.problems,
    ...checkOwnAnnotations(spec.annotations),
    ...below(["spec"], read.problems),
  ];
  const problems = found.map((problem) => place(problem, context)).sort(byPlace);
  const isFine = problems.every((problem) => problem.severity === "warning");
  if (!isFine || metadata === undefined || read.compiled === undefined) return failed(problems);
  const value: Resource = {
    kind: definition.kind,
    namespace: spec.namespace,
    name: spec.name,
    apiVersion: String(object["apiVersion"]),
    labels: spec.labels,
    annotations: spec.annotations,
    version: contentVersion(object),
    createdAt: context.now,
    source: spec.sourceOf([]),
    object,
    compiled: read.compiled,
  };
  return { ok: true, value, warnings: problems };
}

const missingSpec: ReturnType<KindDefinition["read"]> = {
  problems: [{ path: [], why: "is missing", hint: "the object says nothing without a spec" }],
};

function specContext(
  { kind }: KindDefinition,
  metadata: ObjectFrame["metadata"] | undefined,
  context: DecodeContext,
): SpecContext {
  const namespace = metadata?.namespace ?? defaultNamespace;
  const name = metadata?.name ?? "";
  return {
    kind,
    namespace,
    name,
    labels: compileLabels(metadata?.labels),
    annotations: compileLabels(metadata?.annotations),
    sourceOf(path) {
      const at = context.locate?.(path.length === 0 ? [] : ["spec", ...path]);
      return { kind, namespace, name, ...(at ? { file: at.file, line: at.line } : {}) };
    },
  };
}

function place(problem: FieldProblem, context: DecodeContext): Problem {
  const { path, meant: _, ...rest } = problem;
  const at = context.locate?.(path);
  return { path: formatFieldPath(path), ...rest, ...(at ? { at } : {}) };
}

/** In the order in which an author meets them. */
function byPlace(one: Problem, other: Problem): number {
  const lines = (one.at?.line ?? 0) - (other.at?.line ?? 0);
  return lines === 0 ? (one.at?.column ?? 0) - (other.at?.column ?? 0) : lines;
}
