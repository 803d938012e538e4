import type { FieldProblem } from "../field-problem.ts";
import { below } from "../field-problem.ts";
import { validateExportTo } from "../fields/export-to.ts";
import type { SpecContext } from "../kind.ts";
import type { DestinationRuleSpec, TrafficPolicyInput } from "./schema.ts";

export function validateDestinationRule(spec: DestinationRuleSpec, context: SpecContext): FieldProblem[] {
  const subsets = spec.subsets ?? [];
  const seen = new Set<string>();
  const duplicates = subsets.flatMap(({ name }, index): FieldProblem[] => {
    if (!seen.has(name)) {
      seen.add(name);
      return [];
    }
    const why = `the subset ${JSON.stringify(name)} is given twice`;
    return [{ path: ["subsets", index, "name"], why, hint: "give each subset its own name" }];
  });
  return [
    ...below(["trafficPolicy"], validatePolicy(spec.trafficPolicy)),
    ...duplicates,
    ...subsets.flatMap((subset, index) =>
      below(["subsets", index, "trafficPolicy"], validatePolicy(subset.trafficPolicy)),
    ),
    ...validateExportTo(spec.exportTo, context.namespace),
  ];
}

function validatePolicy(policy: TrafficPolicyInput | undefined): FieldProblem[] {
  if (policy === undefined) return [];
  const isEmpty = Object.values(policy).every((value) => value === undefined);
  if (isEmpty)
    return [{ path: [], why: "says nothing", hint: "give loadBalancer or connectionPool, or remove it" }];
  if (policy.loadBalancer?.simple !== "LEAST_CONN") return [];
  const path = ["loadBalancer", "simple"];
  return [{ path, severity: "warning", why: "LEAST_CONN is deprecated", hint: "use LEAST_REQUEST" }];
}
