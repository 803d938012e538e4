import type { FieldProblem } from "../field-problem.ts";
import { below } from "../field-problem.ts";
import { validateExportTo } from "../fields/export-to.ts";
import type { SpecContext } from "../kind.ts";
import { validateLoadBalancer } from "./load-balancer.ts";
import type { DestinationRuleSpec, TrafficPolicyInput } from "./schema.ts";
import { validateClientTls } from "./tls.ts";

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
  const ports = policy.portLevelSettings ?? [];
  const firstAt = new Map<number, number>();
  return [
    ...validateFields(policy),
    ...ports.flatMap((entry, index) => {
      const path = ["portLevelSettings", index];
      const { number } = entry.port;
      const first = firstAt.get(number) ?? index;
      firstAt.set(number, first);
      const why = `port ${number} has settings in portLevelSettings[${first}] already`;
      const twice: FieldProblem[] =
        first === index ? [] : [{ path: [...path, "port", "number"], why, hint: "join the two" }];
      return [...twice, ...below(path, validateFields(entry))];
    }),
  ];
}

function validateFields(fields: PolicyFields): FieldProblem[] {
  const problems = [
    ...below(["loadBalancer"], validateLoadBalancer(fields.loadBalancer)),
    ...below(["tls"], validateClientTls(fields.tls)),
  ];
  const outlier = fields.outlierDetection;
  if (outlier?.consecutiveLocalOriginFailures !== undefined && !outlier.splitExternalLocalOriginErrors) {
    problems.push({
      path: ["outlierDetection", "consecutiveLocalOriginFailures"],
      severity: "warning",
      why: "has no effect without splitExternalLocalOriginErrors: true",
      hint: "set that too, or remove it",
    });
  }
  if (outlier?.consecutiveErrors !== undefined) {
    const path = ["outlierDetection", "consecutiveErrors"];
    const other = (["consecutive5xxErrors", "consecutiveGatewayErrors"] as const).find(
      (name) => outlier[name] !== undefined,
    );
    if (other !== undefined) problems.push({ path, why: `stands beside ${other}`, hint: `keep ${other}` });
    else
      problems.push({
        path,
        severity: "warning",
        why: "is deprecated",
        hint: "use consecutiveGatewayErrors or consecutive5xxErrors",
      });
  }
  if (outlier !== undefined && fields.loadBalancer?.simple === "PASSTHROUGH") {
    const why = "has no effect with PASSTHROUGH: whoever names an address gets that one";
    problems.push({ path: ["outlierDetection"], severity: "warning", why, hint: "remove one of the two" });
  }
  return problems;
}

type PolicyFields = Pick<TrafficPolicyInput, "loadBalancer" | "outlierDetection" | "tls">;
