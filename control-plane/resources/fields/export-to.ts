import { z } from "zod";
import type { FieldProblem } from "../field-problem.ts";
import { isDnsLabel } from "./names.ts";

/** Istio's exportTo: "*" everyone, "." the own namespace, "~" nobody (ServiceEntry only), or namespaces. */
export const exportToField = z.array(
  z.string().superRefine((entry, context) => {
    if (entry === "*" || entry === "." || entry === "~" || isDnsLabel(entry)) return;
    context.addIssue({
      code: "custom",
      message: `${JSON.stringify(entry)} is not a namespace`,
      params: { hint: 'write "*" for everyone, "." for the own namespace, or a namespace' },
    });
  }),
);

/** What no single entry shows: duplicates, "*" beside others, "~" where it is not allowed. Paths start at `exportTo`. */
export function validateExportTo(
  entries: readonly string[] | undefined,
  namespace: string,
  allowNobody = false,
): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const seen = new Set<string>();
  (entries ?? []).forEach((entry, index) => {
    const meant = entry === "." ? namespace : entry;
    if (seen.has(meant)) {
      problems.push({
        path: ["exportTo", index],
        why: `${JSON.stringify(entry)} is given twice`,
        hint: "remove one",
      });
    }
    seen.add(meant);
    if (entry === "~" && !allowNobody) {
      problems.push({
        path: ["exportTo", index],
        why: '"~" (nobody) is for ServiceEntry only',
        hint: 'write "."',
      });
    }
  });
  for (const alone of ["*", "~"]) {
    if (seen.has(alone) && seen.size > 1) {
      problems.push({
        path: ["exportTo"],
        why: `"${alone}" cannot stand beside others`,
        hint: `keep only "${alone}"`,
      });
    }
  }
  return problems;
}

/** Absent or empty means everyone. */
export function compileExportTo(entries: readonly string[] | undefined): readonly string[] {
  return entries === undefined || entries.length === 0 ? ["*"] : entries;
}
