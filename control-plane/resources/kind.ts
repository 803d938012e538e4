import type { z } from "zod";
import type { Labels } from "../../common/model/endpoint.ts";
import type { Source } from "../../common/model/source.ts";
import { checkSchema } from "./check-schema.ts";
import type { FieldPath, FieldProblem } from "./field-problem.ts";
import type { CompiledResource, Kind } from "./resource.ts";

/** What a spec needs to know of the object around it. */
export interface SpecContext {
  readonly kind: Kind;
  readonly namespace: string;
  readonly name: string;
  readonly labels: Labels;
  readonly annotations: Labels;
  /** The provenance of a part of the spec; the path starts inside `spec`. */
  sourceOf(path: FieldPath): Source;
}

/** One kind of object, as `index.ts` lists it. */
export interface KindDefinition {
  readonly kind: Kind;
  readonly group: string;
  /** The first is the one that is stored. */
  readonly versions: readonly string[];
  readonly plural: string;
  readonly shortNames: readonly string[];
  readonly columns: readonly PrinterColumn[];
  readonly schema: z.ZodObject;
  /** All problems of a spec, and what it compiled to when none is an error. Paths start inside `spec`. */
  read(spec: unknown, context: SpecContext): ReadSpec;
}

export interface ReadSpec {
  readonly problems: readonly FieldProblem[];
  readonly compiled?: CompiledResource;
}

/** A column of `kubectl get`. */
export interface PrinterColumn {
  readonly name: string;
  readonly type: "string" | "date";
  readonly jsonPath: string;
  readonly description: string;
}

/** A kind by its parts: the schema knows single fields, `validate` what several say together, `compile` the meaning. */
export interface KindParts<S extends z.ZodObject>
  extends Omit<KindDefinition, "schema" | "read" | "group" | "versions"> {
  readonly schema: S;
  validate(spec: z.infer<S>, context: SpecContext): readonly FieldProblem[];
  compile(spec: z.infer<S>, context: SpecContext): CompiledResource;
}

/** A kind of Istio's, under the names that Istio gives it. */
export function defineNetworkingKind<S extends z.ZodObject>(parts: KindParts<S>): KindDefinition {
  return defineKind("networking.istio.io", ["v1", "v1beta1", "v1alpha3"], parts);
}

/** A kind of Istio's for who may call whom. */
export function defineSecurityKind<S extends z.ZodObject>(parts: KindParts<S>): KindDefinition {
  return defineKind("security.istio.io", ["v1", "v1beta1"], parts);
}

/** A kind of our own, for what Istio's and Gateway API's can't say. */
export function defineOwnKind<S extends z.ZodObject>(parts: KindParts<S>): KindDefinition {
  return defineKind("weft.dev", ["v1alpha1"], parts);
}

function defineKind<S extends z.ZodObject>(
  group: string,
  versions: readonly string[],
  parts: KindParts<S>,
): KindDefinition {
  return {
    ...parts,
    group,
    versions,
    read(spec, context) {
      const checked = checkSchema(parts.schema, spec);
      const further = checked.value === undefined ? [] : parts.validate(checked.value, context);
      const problems = [...checked.problems, ...withoutFollowOns(further, checked.problems)];
      const isFine =
        checked.value !== undefined && problems.every((problem) => problem.severity === "warning");
      return isFine ? { problems, compiled: parts.compile(checked.value, context) } : { problems };
    },
  };
}

/** A field that was left out because it is wrong must not also be reported as missing, nor what holds it as incomplete. */
function withoutFollowOns(
  problems: readonly FieldProblem[],
  causes: readonly FieldProblem[],
): readonly FieldProblem[] {
  const wrong = new Set<string>();
  const above = new Set<string>();
  for (const { path, meant } of causes) {
    for (const cause of meant === undefined ? [path] : [path, meant]) {
      wrong.add(JSON.stringify(cause));
      for (let length = 0; length < cause.length; length++) above.add(JSON.stringify(cause.slice(0, length)));
    }
  }
  return problems.filter(({ path }) => {
    if (above.has(JSON.stringify(path))) return false;
    return !path.some((_, index) => wrong.has(JSON.stringify(path.slice(0, index + 1))));
  });
}
