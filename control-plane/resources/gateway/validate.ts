import type { FieldProblem } from "../field-problem.ts";
import type { GatewaySpec } from "./schema.ts";

export function validateGateway(spec: GatewaySpec): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const names = new Set<string>();
  spec.servers.forEach(({ port }, index) => {
    if (names.has(port.name)) {
      const path = ["servers", index, "port", "name"];
      problems.push({
        path,
        why: `${JSON.stringify(port.name)} is given twice`,
        hint: "name each server's port differently",
      });
    }
    names.add(port.name);
  });
  if (Object.keys(spec.selector ?? {}).length === 0) {
    problems.push({
      path: ["selector"],
      severity: "warning",
      why: "is empty, so every gateway opens these servers",
      hint: "give the labels of the gateway that is meant",
    });
  }
  return problems;
}
