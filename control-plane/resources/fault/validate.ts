import type { FieldProblem } from "../field-problem.ts";
import type { SpecContext } from "../kind.ts";
import type { FaultSpec } from "./schema.ts";

const forRequests = ["delay", "abort", "responseBandwidth"] as const;

export function validateFault(spec: FaultSpec, _context: SpecContext): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const report = (path: string[], why: string, hint: string) => problems.push({ path, why, hint });
  if (spec.target.service !== undefined) {
    for (const field of [...forRequests, "maxActive", "callers"] as const) {
      if (spec[field] === undefined) continue;
      const hint = "target the VirtualService's rule that routes them, or use tcp";
      report([field], "is for requests, and a service's faults are for its connections", hint);
    }
    if (spec.tcp === undefined) report(["tcp"], "is missing", "give delay, reset or bandwidth");
    return problems;
  }
  if (spec.tcp !== undefined) {
    report(["tcp"], "is for connections, and a rule routes requests", "target the service");
  }
  if (forRequests.every((field) => spec[field] === undefined) && spec.tcp === undefined) {
    report([], "injects nothing", "give delay, abort or responseBandwidth");
  }
  for (const field of forRequests) {
    if (!spec[field]?.fromHeader || spec.callers !== undefined) continue;
    const hint = "name the callers that may ask for faults, such as callers: [{ namespace: test }]";
    report([field, "fromHeader"], "lets everybody ask for faults", hint);
  }
  return problems;
}
