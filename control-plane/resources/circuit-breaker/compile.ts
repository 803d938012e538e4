import type { BreakerFallback } from "../../../common/model/circuit-breaker.ts";
import type { ServiceReference } from "../../../common/model/service.ts";
import { durationMs } from "../fields/duration.ts";
import { resolveHost } from "../fields/host.ts";
import type { SpecContext } from "../kind.ts";
import type { BreakerTarget, CompiledCircuitBreaker } from "./compiled.ts";
import type { CircuitBreakerSpec } from "./schema.ts";
import { errorWords } from "./schema.ts";

export function compileCircuitBreaker(
  spec: CircuitBreakerSpec,
  context: SpecContext,
): CompiledCircuitBreaker {
  const { slowCallRate, fallback } = spec;
  const slowMs = durationMs(spec.slowCallDuration);
  return {
    kind: "CircuitBreaker",
    target: compileTarget(spec.target, context.namespace),
    policy: {
      name: `${context.namespace}/${context.name}`,
      errorRate: (spec.errorRate ?? 50) / 100,
      ...(slowCallRate === undefined || slowMs === undefined
        ? {}
        : { slowCalls: { rate: slowCallRate / 100, durationMs: slowMs } }),
      volumeThreshold: spec.volumeThreshold ?? 20,
      windowMs: durationMs(spec.rollingWindow) ?? 10_000,
      resetMs: durationMs(spec.resetTimeout) ?? 5_000,
      probes: spec.halfOpenProbes ?? 1,
      errors: spec.errors ?? errorWords,
      ...(fallback === undefined ? {} : { fallback: compileFallback(fallback, context.namespace) }),
    },
  };
}

/** The schema has let exactly one of the two through. */
function compileTarget({ service, route }: CircuitBreakerSpec["target"], namespace: string): BreakerTarget {
  if (service !== undefined) {
    const { host, subset, port } = service;
    return { kind: "service", ...compileReference(host, subset, port, namespace) };
  }
  return {
    kind: "route",
    virtualService: route?.virtualService ?? "",
    ...(route?.rule === undefined ? {} : { rule: route.rule }),
  };
}

function compileFallback(
  { directResponse, destination, lastGoodResponse }: NonNullable<CircuitBreakerSpec["fallback"]>,
  namespace: string,
): BreakerFallback<ServiceReference> {
  if (directResponse !== undefined) {
    return {
      kind: "direct-response",
      status: directResponse.status,
      body: directResponse.body ?? "",
      headers: Object.entries(directResponse.headers ?? {}),
    };
  }
  if (destination !== undefined) {
    const { host, subset, port } = destination;
    return { kind: "destination", destination: compileReference(host, subset, port?.number, namespace) };
  }
  return {
    kind: "last-good-response",
    maxAgeMs: durationMs(lastGoodResponse?.maxAge) ?? 300_000,
    maxBytes: lastGoodResponse?.maxBytes ?? 1_048_576,
    vary: (lastGoodResponse?.vary ?? []).map((name) => name.toLowerCase()),
  };
}

function compileReference(
  host: string,
  subset: string | undefined,
  port: number | undefined,
  namespace: string,
): ServiceReference {
  return {
    host: resolveHost(host, namespace),
    ...(subset === undefined ? {} : { subset }),
    ...(port === undefined ? {} : { port }),
  };
}
