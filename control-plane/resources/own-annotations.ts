import { closestName } from "../../common/base/closest.ts";
import { parseDuration } from "../../common/base/duration.ts";
import type { Labels } from "../../common/model/endpoint.ts";
import type { FieldProblem } from "./field-problem.ts";

/** Switches for which Istio has no field; there they are flags of the whole control plane. */
export const mirrorHostSuffixAnnotation = "weft.dev/mirror-host-suffix";

/** Of a VirtualService: for the attempts of all its rules that have retries; Envoy's per_try_idle_timeout. */
export const perTryIdleTimeoutAnnotation = "weft.dev/per-try-idle-timeout";

/** Says why a value means nothing; undefined when it means something. */
type Check = (value: string) => Pick<FieldProblem, "why" | "hint"> | undefined;

const ownAnnotations: Readonly<Record<string, Check>> = {
  [mirrorHostSuffixAnnotation]: oneOf("true", "false"),
  [perTryIdleTimeoutAnnotation]: duration,
};

/** Refuses a value that means nothing, and warns of a `weft.dev/` name that nobody reads. Paths start at the object. */
export function checkOwnAnnotations(annotations: Labels): FieldProblem[] {
  return Object.entries(annotations).flatMap(([name, value]): FieldProblem[] => {
    if (!name.startsWith("weft.dev/")) return [];
    const path = ["metadata", "annotations", name];
    const check = Object.hasOwn(ownAnnotations, name) ? ownAnnotations[name]! : undefined;
    if (check === undefined) {
      const meant = closestName(name, Object.keys(ownAnnotations));
      const why = `"${name}" is read by nobody`;
      return [{ path, why, severity: "warning", ...(meant ? { hint: `did you mean ${meant}?` } : {}) }];
    }
    const problem = check(value);
    return problem === undefined ? [] : [{ path, ...problem }];
  });
}

function oneOf(...values: readonly string[]): Check {
  return (value) =>
    values.includes(value) ? undefined : { why: `"${value}" is not one of ${values.join(", ")}` };
}

function duration(value: string): ReturnType<Check> {
  const parsed = parseDuration(value);
  if (!parsed.ok) return { why: parsed.why, ...(parsed.hint === undefined ? {} : { hint: parsed.hint }) };
  return parsed.ms >= 1 ? undefined : { why: `"${value}" is too short`, hint: "the shortest is 1ms" };
}
