import type { FieldProblem } from "../field-problem.ts";
import { below } from "../field-problem.ts";
import { protocolOf } from "../fields/protocol.ts";
import type { GatewaySpec } from "./schema.ts";
import { validateServerTls } from "./tls.ts";

export function validateGateway(spec: GatewaySpec): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const names = new Set<string>();
  spec.servers.forEach(({ port, tls }, index) => {
    if (names.has(port.name)) {
      const path = ["servers", index, "port", "name"];
      problems.push({
        path,
        why: `${JSON.stringify(port.name)} is given twice`,
        hint: "name each server's port differently",
      });
    }
    names.add(port.name);
    const protocol = protocolOf(port.protocol) ?? "";
    problems.push(...below(["servers", index], validateServerTls(protocol, tls)));
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
