import type { FieldProblem } from "../field-problem.ts";
import type { SpecContext } from "../kind.ts";
import { dryRunAnnotation } from "./compile.ts";
import { conditionKey } from "./conditions.ts";
import type { AuthorizationPolicySpec, ConditionInput } from "./schema.ts";
import { plainText } from "./texts.ts";

export function validateAuthorizationPolicy(
  spec: AuthorizationPolicySpec,
  { annotations }: SpecContext,
): FieldProblem[] {
  const { action = "ALLOW", provider, rules } = spec;
  const problems: FieldProblem[] = [];
  if (action === "CUSTOM" && provider === undefined) {
    const hint = "name one of extensionProviders of the mesh config";
    problems.push({ path: ["provider"], why: "is missing: CUSTOM asks somebody", hint });
  }
  if (action !== "CUSTOM" && provider !== undefined)
    problems.push({ path: ["provider"], why: `has no meaning with ${action}`, hint: "write action: CUSTOM" });
  if (annotations[dryRunAnnotation] === "true" && (action === "AUDIT" || action === "CUSTOM"))
    problems.push({ path: ["action"], why: `${action} cannot be tried with ${dryRunAnnotation}` });
  if ((rules ?? []).length === 0 && action !== "ALLOW") {
    const why = `without rules ${action} matches nothing`;
    problems.push({ path: ["rules"], why, hint: "a rule {} matches everything", severity: "warning" });
  }
  for (const [index, rule] of (rules ?? []).entries()) {
    for (const [at, { source }] of (rule.from ?? []).entries())
      if (Object.values(source).every((value) => value === undefined))
        problems.push(empty(["rules", index, "from", at, "source"]));
    for (const [at, { operation }] of (rule.to ?? []).entries())
      if (Object.values(operation).every((value) => value === undefined))
        problems.push(empty(["rules", index, "to", at, "operation"]));
    for (const [at, condition] of (rule.when ?? []).entries())
      problems.push(...conditionProblems(condition, ["rules", index, "when", at]));
  }
  return problems;
}

function empty(path: FieldProblem["path"]): FieldProblem {
  return { path, why: "asks for nothing", hint: "leave it out to mean anybody or anything" };
}

function conditionProblems(condition: ConditionInput, path: FieldProblem["path"]): FieldProblem[] {
  const { key, values, notValues } = condition;
  const known = conditionKey(key);
  if ("why" in known)
    return [{ path: [...path, "key"], ...known, why: `${JSON.stringify(key)} ${known.why}` }];
  if (values === undefined && notValues === undefined)
    return [{ path, why: "has neither values nor notValues", hint: "give one of them" }];
  const lists = { values, notValues };
  return (["values", "notValues"] as const).flatMap((list) =>
    (lists[list] ?? []).flatMap((value, index): FieldProblem[] => {
      const at = [...path, list, index];
      if (known.problem === undefined) {
        const issue = plainText.safeParse(value).error?.issues[0];
        return issue === undefined ? [] : [{ path: at, why: issue.message }];
      }
      const why = known.problem(value);
      return why === undefined ? [] : [{ path: at, why: `${JSON.stringify(value)} ${why}` }];
    }),
  );
}
