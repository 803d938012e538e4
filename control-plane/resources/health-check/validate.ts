import type { FieldProblem } from "../field-problem.ts";
import { durationMs } from "../fields/duration.ts";
import type { SpecContext } from "../kind.ts";
import type { HealthCheckSpec } from "./schema.ts";

export function validateHealthCheck(spec: HealthCheckSpec, _context: SpecContext): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const probes = ["http", "tcp", "grpc"] as const;
  const given = probes.filter((name) => spec[name] !== undefined);
  if (given.length === 0) {
    problems.push({ path: [], why: "says not how to ask", hint: "give one of http, tcp, grpc" });
  } else if (given.length > 1) {
    const why = `stands beside ${given[0]}`;
    problems.push({ path: [given[1]!], why, hint: "a service has one check: keep one of the two" });
  }
  for (const name of ["content-length", "transfer-encoding", "connection", "host"]) {
    const written = Object.keys(spec.http?.headers ?? {}).find((header) => header.toLowerCase() === name);
    if (written === undefined) continue;
    const hint = name === "host" ? "use http.host" : "remove it";
    problems.push({ path: ["http", "headers", written], why: "the proxies write it themselves", hint });
  }
  const timeoutMs = durationMs(spec.timeout) ?? 2_000;
  if (spec.interval !== undefined && timeoutMs > durationMs(spec.interval)) {
    const path = spec.timeout === undefined ? ["interval"] : ["timeout"];
    const why = `checks take up to ${timeoutMs} ms and begin every ${durationMs(spec.interval)} ms after the last has ended`;
    problems.push({ path, severity: "warning", why, hint: "set timeout below interval" });
  }
  return problems;
}
