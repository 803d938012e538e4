import type { FieldProblem } from "../field-problem.ts";
import type { HttpRule } from "./schema.ts";

/** Envoy's limit on the sum of weights. */
const maxWeightSum = 4_294_967_295;

/** Weights need not sum to 100, but something must be left to choose. */
export function validateRoute(rule: HttpRule): FieldProblem[] {
  const routes = rule.route ?? [];
  if (routes.length < 2) return [];
  const sum = routes.reduce((total, { weight }) => total + (weight ?? 0), 0);
  if (sum === 0) {
    return [
      {
        path: ["route"],
        why: "the weights sum to 0, so no destination gets requests",
        hint: "give at least one a weight",
      },
    ];
  }
  if (sum > maxWeightSum) {
    return [
      {
        path: ["route"],
        why: `the weights sum to ${sum}: the limit is ${maxWeightSum}`,
        hint: "use smaller weights",
      },
    ];
  }
  return [];
}

/** mirror and mirrors exclude each other; a share needs the mirror that it is of. */
export function validateMirrors(rule: HttpRule): FieldProblem[] {
  const problems: FieldProblem[] = [];
  if (rule.mirror && (rule.mirrors ?? []).length > 0) {
    problems.push({
      path: ["mirrors"],
      why: "cannot stand beside mirror",
      hint: "move the mirror into mirrors",
    });
  }
  for (const field of ["mirrorPercentage", "mirrorPercent", "mirror_percent"] as const) {
    if (rule[field] === undefined) continue;
    if (rule.mirror === undefined) {
      problems.push({
        path: [field],
        severity: "warning",
        why: "has no effect without mirror",
        hint: "mirrors have a percentage each",
      });
    } else if (field !== "mirrorPercentage") {
      problems.push({
        path: [field],
        severity: "warning",
        why: "is deprecated",
        hint: "use mirrorPercentage: { value: … }",
      });
    }
  }
  return problems;
}
