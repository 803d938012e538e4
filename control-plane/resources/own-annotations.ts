import { closestName } from "../../common/base/closest.ts";
import type { Labels } from "../../common/model/endpoint.ts";
import type { FieldProblem } from "./field-problem.ts";

/** Switches for which Istio has no field; there they are flags of the whole control plane. */
export const mirrorHostSuffixAnnotation = "weft.dev/mirror-host-suffix";

const ownAnnotations: Readonly<Record<string, readonly string[]>> = {
  [mirrorHostSuffixAnnotation]: ["true", "false"],
};

/** Refuses a value that means nothing, and warns of a `weft.dev/` name that nobody reads. Paths start at the object. */
export function checkOwnAnnotations(annotations: Labels): FieldProblem[] {
  return Object.entries(annotations).flatMap(([name, value]): FieldProblem[] => {
    if (!name.startsWith("weft.dev/")) return [];
    const path = ["metadata", "annotations", name];
    const values = Object.hasOwn(ownAnnotations, name) ? ownAnnotations[name]! : undefined;
    if (values === undefined) {
      const meant = closestName(name, Object.keys(ownAnnotations));
      const why = `"${name}" is read by nobody`;
      return [{ path, why, severity: "warning", ...(meant ? { hint: `did you mean ${meant}?` } : {}) }];
    }
    if (values.includes(value)) return [];
    return [{ path, why: `"${value}" is not one of ${values.join(", ")}` }];
  });
}
