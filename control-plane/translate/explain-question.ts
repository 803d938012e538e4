import type { Problem } from "../../common/base/problem.ts";
import type { Result } from "../../common/base/result.ts";
import { failed, ok } from "../../common/base/result.ts";
import { hypotheticalRequest } from "../../common/routing/hypothetical-request.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import type { RequestExplanation } from "./explain.ts";
import { explainRequest, gatewayPorts } from "./explain.ts";

/**
 * Answers the question of `POST /explain`, whose JSON can be anything: which rule takes a request, and why no other. For a
 * gateway, `port` is the one in the URL if its Gateways open it; one that opens a single port leaves no doubt.
 */
export function answerExplainQuestion(snapshot: Snapshot, question: unknown): Result<RequestExplanation> {
  const problems: Problem[] = [];
  const read = record(question);
  const text = (path: string, fallback: string): string => {
    const value = read[path] ?? fallback;
    if (typeof value === "string") return value;
    problems.push({ path, why: "is not a text" });
    return fallback;
  };
  const method = text("method", "GET");
  const url = text("url", "");
  const namespace = text("namespace", "default");
  const serviceAccount = text("serviceAccount", "default");
  const kind = text("kind", "sidecar");
  if (kind !== "sidecar" && kind !== "gateway") {
    problems.push({ path: "kind", why: `${JSON.stringify(kind)} is neither sidecar nor gateway` });
  }
  const labels = pairs("labels", read["labels"], problems);
  const headers = pairs("headers", read["headers"], problems);
  const asked = portOf(read["port"], url, problems);
  const request = problems.length > 0 ? failed([]) : hypotheticalRequest({ method, url, headers });
  if (!request.ok) return failed([...problems, ...request.problems]);

  const asker = {
    kind: kind as "sidecar" | "gateway",
    namespace,
    serviceAccount,
    labels: Object.fromEntries(labels),
  };
  if (asker.kind === "sidecar") return ok(explainRequest(snapshot, asker, request.value)!);
  const ports = gatewayPorts(snapshot, asker.labels);
  const port = ports.includes(asked) || ports.length !== 1 ? asked : ports[0]!;
  const explanation = explainRequest(snapshot, asker, request.value, port);
  if (explanation !== undefined) return ok(explanation);
  return failed([ports.length === 0 ? noGateway(snapshot) : otherPort(port, ports)]);
}

function noGateway({ gateways }: Snapshot): Problem {
  const selectors = gateways.map(({ selector }) =>
    Object.entries(selector)
      .map(([key, value]) => `${key}=${value}`)
      .join(","),
  );
  const known = [...new Set(selectors)].filter((selector) => selector !== "");
  const hint = known.length > 0 ? `Gateways select ${known.join(" or ")}` : "apply a Gateway";
  return { path: "labels", why: "no Gateway selects these labels", hint };
}

function otherPort(port: number, ports: readonly number[]): Problem {
  const hint = `its ports are ${ports.join(", ")}; put one of them into the URL`;
  return { path: "port", why: `no Gateway opens port ${port} for a gateway with these labels`, hint };
}

/** The port that was asked for, else the URL's, else its scheme's. */
function portOf(value: unknown, url: string, problems: Problem[]): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 65_535) return value;
  if (value !== undefined) problems.push({ path: "port", why: "is not a port number" });
  const written = /^(?:[^:/?#]+:\/\/)?[^/?#]*:(\d+)(?:[/?#]|$)/.exec(url)?.[1];
  return written === undefined ? (/^https:/i.test(url) ? 443 : 80) : Number(written);
}

/** Names with their texts; a name may have a list of texts, such as a header that is sent twice. */
function pairs(
  path: string,
  value: unknown,
  problems: Problem[],
): readonly (readonly [name: string, text: string])[] {
  if (value !== undefined && (typeof value !== "object" || value === null || Array.isArray(value))) {
    problems.push({ path, why: "is not an object of texts" });
    return [];
  }
  return Object.entries(record(value)).flatMap(([name, given]) =>
    (Array.isArray(given) ? given : [given]).flatMap((text: unknown) => {
      if (typeof text === "string") return [[name, text] as const];
      problems.push({ path: `${path}.${name}`, why: "is not a text" });
      return [];
    }),
  );
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
