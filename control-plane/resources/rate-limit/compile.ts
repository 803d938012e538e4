import type { RateLimitKeyPart } from "../../../common/model/rate-limit.ts";
import { durationMs } from "../fields/duration.ts";
import { resolveHost } from "../fields/host.ts";
import { compileLabels } from "../fields/labels.ts";
import type { SpecContext } from "../kind.ts";
import type { CompiledRateLimit, RateLimitTarget } from "./compiled.ts";
import type { RateLimitKeyInput, RateLimitSpec } from "./schema.ts";

export function compileRateLimit(spec: RateLimitSpec, { namespace, name }: SpecContext): CompiledRateLimit {
  return {
    kind: "RateLimit",
    target: compileTarget(spec.target, namespace),
    rules: spec.rules.map((rule, index) => ({
      name: `${namespace}/${name}/${rule.name ?? index}`,
      key: (rule.key ?? []).map(compilePart),
      requests: rule.limit.requests,
      perMs: durationMs(rule.limit.per),
      burst: rule.limit.burst ?? rule.limit.requests,
      maxKeys: rule.maxKeys ?? 10_000,
      ...(spec.global && { global: true as const }),
    })),
  };
}

/** The schema has let exactly one through. */
function compileTarget(target: RateLimitSpec["target"], namespace: string): RateLimitTarget {
  const { workloads, service, gateway, route } = target;
  if (service !== undefined) return { kind: "service", host: resolveHost(service.host, namespace) };
  if (gateway !== undefined) return { kind: "gateway", name: gateway.name };
  if (route !== undefined) {
    const { virtualService, rule } = route;
    return { kind: "route", virtualService, ...(rule === undefined ? {} : { rule }) };
  }
  return { kind: "workloads", labels: compileLabels(workloads) };
}

const attributes = {
  PATH: "path",
  METHOD: "method",
  HOST: "host",
  SOURCE_ADDRESS: "source-address",
  SOURCE_WORKLOAD: "source-workload",
  SOURCE_IDENTITY: "source-identity",
} as const;

function compilePart({ header, queryParam, attribute }: RateLimitKeyInput): RateLimitKeyPart {
  if (header !== undefined) return { kind: "header", name: header.toLowerCase() };
  if (queryParam !== undefined) return { kind: "query", name: queryParam };
  return { kind: attributes[attribute ?? "PATH"] };
}
