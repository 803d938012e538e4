import type { FieldProblem } from "../field-problem.ts";
import type { SpecContext } from "../kind.ts";
import type { RateLimitSpec } from "./schema.ts";

export function validateRateLimit({ rules }: RateLimitSpec, _context: SpecContext): FieldProblem[] {
  const seen = new Set<string>();
  return rules.flatMap(({ name }, index): FieldProblem[] => {
    if (name === undefined || !seen.has(name)) {
      if (name !== undefined) seen.add(name);
      return [];
    }
    const why = `the rule ${JSON.stringify(name)} is given twice`;
    return [{ path: ["rules", index, "name"], why, hint: "give each rule its own name" }];
  });
}
