import type { FieldProblem } from "../field-problem.ts";
import type { WorkloadEntrySpec } from "./schema.ts";

export function validateWorkloadEntry(spec: WorkloadEntrySpec): FieldProblem[] {
  if (spec.address) return [];
  return [{ path: ["address"], why: "is missing", hint: "give the IP address or host name of the workload" }];
}
