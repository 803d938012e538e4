import type { FieldProblem } from "../field-problem.ts";
import type { SidecarSpec } from "./schema.ts";

export function validateSidecar(spec: SidecarSpec): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const { workloadSelector, egress, outboundTrafficPolicy } = spec;
  if (egress === undefined && outboundTrafficPolicy === undefined) {
    problems.push({ path: [], why: "says nothing", hint: "give egress hosts or outboundTrafficPolicy" });
  }
  if (workloadSelector && Object.keys(workloadSelector.labels ?? {}).length === 0) {
    problems.push({
      path: ["workloadSelector"],
      severity: "warning",
      why: "has no labels, so it selects every workload of the namespace",
      hint: "give labels, or remove it to make this the namespace's default",
    });
  }
  (egress ?? []).forEach(({ hosts }, place) => {
    if (place > 0) {
      const why = "a second entry without a port has no effect in Istio";
      problems.push({ path: ["egress", place], why, hint: "write all hosts into the first" });
    }
    const seen = new Set<string>();
    hosts.forEach((host, index) => {
      const path = ["egress", place, "hosts", index];
      if (seen.has(host))
        problems.push({ path, why: `${JSON.stringify(host)} is given twice`, hint: "remove one" });
      seen.add(host);
      if (host.startsWith("~/") && hosts.length > 1)
        problems.push({
          path,
          why: '"~/*" (nothing) cannot stand beside others',
          hint: "keep it alone, or remove it",
        });
    });
  });
  return problems;
}
