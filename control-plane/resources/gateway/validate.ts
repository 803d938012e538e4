import type { FieldPath, FieldProblem } from "../field-problem.ts";
import { below } from "../field-problem.ts";
import { protocolOf } from "../fields/protocol.ts";
import type { GatewaySpec } from "./schema.ts";
import { validateServerTls } from "./tls.ts";

export function validateGateway(spec: GatewaySpec): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const portNames = new Set<string>();
  const serverNames = new Set<string>();
  const once = (names: Set<string>, name: string, path: FieldPath, hint: string) => {
    if (names.has(name)) problems.push({ path, why: `${JSON.stringify(name)} is given twice`, hint });
    names.add(name);
  };
  spec.servers.forEach(({ name, port, tls }, index) => {
    once(portNames, port.name, ["servers", index, "port", "name"], "name each server's port differently");
    if (name !== undefined)
      once(serverNames, name, ["servers", index, "name"], "name each server differently, or not at all");
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
