import type { FieldProblem } from "../field-problem.ts";
import type { SpecContext } from "../kind.ts";
import type { CircuitBreakerSpec } from "./schema.ts";

export function validateCircuitBreaker(spec: CircuitBreakerSpec, _context: SpecContext): FieldProblem[] {
  const problems: FieldProblem[] = [];
  if (spec.slowCallRate !== undefined && spec.slowCallDuration === undefined) {
    const hint = "say from when on a call is slow, such as 2s";
    problems.push({ path: ["slowCallDuration"], why: "is missing beside slowCallRate", hint });
  }
  if (spec.slowCallDuration !== undefined && spec.slowCallRate === undefined) {
    const hint = "say at which percentage of slow calls the circuit opens";
    problems.push({ path: ["slowCallRate"], why: "is missing beside slowCallDuration", hint });
  }
  const direct = spec.fallback?.directResponse;
  if (direct?.body !== undefined && direct.body !== "" && (direct.status === 204 || direct.status === 304)) {
    const path = ["fallback", "directResponse", "body"];
    problems.push({ path, why: `a ${direct.status} has no body`, hint: "use 200, or leave the body out" });
  }
  for (const name of Object.keys(direct?.headers ?? {})) {
    if (!["content-length", "transfer-encoding", "connection"].includes(name.toLowerCase())) continue;
    const path = ["fallback", "directResponse", "headers", name];
    problems.push({ path, why: "the proxies frame messages themselves", hint: "remove it" });
  }
  return problems;
}
