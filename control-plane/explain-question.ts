import type { Problem } from "../common/base/problem.ts";
import type { Result } from "../common/base/result.ts";
import { failed, ok } from "../common/base/result.ts";
import { hypotheticalRequest } from "../common/routing/hypothetical-request.ts";
import type { Snapshot } from "./snapshot/snapshot.ts";
import type { RequestExplanation } from "./translate/explain.ts";
import { explainRequest, gatewayPorts } from "./translate/explain.ts";

/** Answers the question of `POST /explain`, whose JSON can be anything: which rule takes a request, and why no other. */
export function answerExplainQuestion(snapshot: Snapshot, question: unknown): Result<RequestExplanation> {
  const problems: Problem[] = [];
  const read = record(question);
  const text = (path: string, fallback: string): string => {
    const value = read[path] ?? fallback;
    if (typeof value !== "string") problems.push({ path, why: "is not a text" });
    return String(value);
  };
  const method = text("method", "GET");
  const url = text("url", "");
  const namespace = text("namespace", "default");
  const kind = text("kind", "sidecar");
  if (kind !== "sidecar" && kind !== "gateway") {
    problems.push({ path: "kind", why: `${JSON.stringify(kind)} is neither sidecar nor gateway` });
  }
  const labels = texts("labels", read["labels"], problems);
  const headers = texts("headers", read["headers"], problems);
  const request = hypotheticalRequest({ method, url, headers: [...headers] });
  if (!request.ok || problems.length > 0)
    return failed([...problems, ...(request.ok ? [] : request.problems)]);

  const asker = { kind: kind as "sidecar" | "gateway", namespace, labels: Object.fromEntries(labels) };
  const ports = gatewayPorts(snapshot, asker.labels);
  const port = read["port"] ?? ports[0] ?? 80;
  const explanation = explainRequest(snapshot, asker, request.value, Number(port));
  if (explanation !== undefined) return ok(explanation);
  const why = `no Gateway opens port ${String(port)} for a gateway with these labels`;
  return failed([
    { path: "port", why, hint: ports.length > 0 ? `its ports are ${ports.join(", ")}` : "check the labels" },
  ]);
}

function texts(path: string, value: unknown, problems: Problem[]): readonly (readonly [string, string])[] {
  return Object.entries(record(value)).flatMap(([name, text]) => {
    if (typeof text === "string") return [[name, text] as const];
    problems.push({ path: `${path}.${name}`, why: "is not a text" });
    return [];
  });
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
