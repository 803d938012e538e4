import type { HealthProbe, StatusRange } from "../../../common/model/health-check.ts";
import { durationMs } from "../fields/duration.ts";
import { resolveHost } from "../fields/host.ts";
import type { SpecContext } from "../kind.ts";
import type { CheckPolicy, CompiledHealthCheck } from "./compiled.ts";
import type { HealthCheckSpec } from "./schema.ts";

export function compileHealthCheck(spec: HealthCheckSpec, context: SpecContext): CompiledHealthCheck {
  // The schema lets no target without a service through.
  const { host, subset, port } = spec.target.service!;
  return {
    kind: "HealthCheck",
    target: {
      host: resolveHost(host, context.namespace),
      ...(subset === undefined ? {} : { subset }),
      ...(port === undefined ? {} : { port }),
      check: compileCheck(spec),
    },
  };
}

function compileCheck(spec: HealthCheckSpec): CheckPolicy {
  const intervalMs = durationMs(spec.interval) ?? 10_000;
  const unhealthyIntervalMs = durationMs(spec.unhealthyInterval);
  const { minHealthPercent } = spec;
  return {
    probe: compileProbe(spec),
    intervalMs,
    ...(unhealthyIntervalMs === undefined ? {} : { unhealthyIntervalMs }),
    noTrafficIntervalMs: durationMs(spec.noTrafficInterval) ?? 60_000,
    intervalJitterMs: durationMs(spec.intervalJitter) ?? 0,
    intervalJitterPercent: spec.intervalJitter === undefined ? 10 : 0,
    initialJitterMs: durationMs(spec.initialJitter) ?? 1_000,
    timeoutMs: durationMs(spec.timeout) ?? 2_000,
    healthyThreshold: spec.healthyThreshold ?? 2,
    unhealthyThreshold: spec.unhealthyThreshold ?? 3,
    reusesConnection: spec.reuseConnection ?? true,
    ...(minHealthPercent === undefined ? {} : { minHealthPercent }),
    ...(spec.endsEjection && { endsEjection: true }),
  };
}

function compileProbe({ http, tcp, grpc }: HealthCheckSpec): HealthProbe {
  if (http !== undefined) {
    return {
      kind: "http",
      path: http.path ?? "/",
      method: http.method ?? "GET",
      ...(http.host === undefined ? {} : { host: http.host }),
      headers: Object.entries(http.headers ?? {}),
      expectedStatuses: (http.expectedStatuses ?? ["200-299"]).map(compileRange),
      // Envoy would take an endpoint out at the first other status; here every failure counts as one.
      retriableStatuses: [{ start: 100, end: 600 }],
    };
  }
  if (tcp !== undefined) {
    return {
      kind: "tcp",
      ...(tcp.send === undefined ? {} : { send: hex(tcp.send) }),
      receive: (tcp.receive ?? []).map(hex),
    };
  }
  return {
    kind: "grpc",
    service: grpc?.service ?? "",
    ...(grpc?.authority === undefined ? {} : { authority: grpc.authority }),
  };
}

function compileRange(text: string): StatusRange {
  const [first, last = first] = text.split("-").map(Number);
  return { start: first!, end: last! + 1 };
}

function hex(text: string): string {
  return Buffer.from(text).toString("hex");
}
