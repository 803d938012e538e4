import type {
  GrpcProbe,
  HealthCheck,
  HealthProbe,
  HttpProbe,
  StatusRange,
  TcpProbe,
} from "../model/health-check.ts";
import messages from "./generated/messages.js";
import type { Reading } from "./wire.ts";
import { fromDuration, toDuration } from "./wire.ts";

type WireCheck = messages.envoy.config.core.v3.HealthCheck;
type Payload = messages.envoy.config.core.v3.HealthCheck.Payload;
type Range = messages.envoy.type.v3.Int64Range;

const { RequestMethod } = messages.envoy.config.core.v3;
const { CodecClientType } = messages.envoy.type.v3;

const checkType = "envoy.config.core.v3.HealthCheck";
/** Kinds of check, and where checks go, that a proxy must not make something else of. */
const decisiveFields = ["customHealthCheck", "tlsOptions", "transportSocketMatchCriteria"];

/** Without what Envoy keeps elsewhere: the panic threshold and `endsEjection`. */
export function toHealthCheck(check: HealthCheck): WireCheck {
  const { unhealthyIntervalMs: unhealthyMs, intervalJitterMs, initialJitterMs } = check;
  return {
    timeout: toDuration(check.timeoutMs),
    interval: toDuration(check.intervalMs),
    ...(unhealthyMs === undefined ? {} : { unhealthyInterval: toDuration(unhealthyMs) }),
    noTrafficInterval: toDuration(check.noTrafficIntervalMs),
    ...(intervalJitterMs > 0 ? { intervalJitter: toDuration(intervalJitterMs) } : {}),
    ...(check.intervalJitterPercent > 0 ? { intervalJitterPercent: check.intervalJitterPercent } : {}),
    ...(initialJitterMs > 0 ? { initialJitter: toDuration(initialJitterMs) } : {}),
    healthyThreshold: { value: check.healthyThreshold },
    unhealthyThreshold: { value: check.unhealthyThreshold },
    reuseConnection: { value: check.reusesConnection },
    ...toProbe(check.probe),
  };
}

/** Undefined, and a problem reported, when it can't be followed. */
export function fromHealthCheck(
  wire: WireCheck,
  path: string,
  reading: Reading,
): Omit<HealthCheck, "minHealthPercent" | "endsEjection"> | undefined {
  reading.refuseUnknown(wire, checkType, path, decisiveFields);
  const probe = fromProbe(wire, path, reading);
  for (const field of ["timeout", "interval"] as const) {
    const duration = wire[field];
    if (!duration || fromDuration(duration) <= 0) reading.problem(`${path}.${field}`, "must be more than 0");
  }
  if (probe === undefined) return undefined;
  const unhealthy = wire.unhealthyInterval;
  return {
    probe,
    intervalMs: wire.interval ? fromDuration(wire.interval) : 0,
    ...(unhealthy ? { unhealthyIntervalMs: fromDuration(unhealthy) } : {}),
    noTrafficIntervalMs: wire.noTrafficInterval ? fromDuration(wire.noTrafficInterval) : 60_000,
    intervalJitterMs: wire.intervalJitter ? fromDuration(wire.intervalJitter) : 0,
    intervalJitterPercent: wire.intervalJitterPercent ?? 0,
    initialJitterMs: wire.initialJitter ? fromDuration(wire.initialJitter) : 0,
    timeoutMs: wire.timeout ? fromDuration(wire.timeout) : 0,
    healthyThreshold: wire.healthyThreshold?.value ?? 1,
    unhealthyThreshold: wire.unhealthyThreshold?.value ?? 1,
    reusesConnection: wire.reuseConnection ? (wire.reuseConnection.value ?? false) : true,
  };
}

function toProbe(probe: HealthProbe): WireCheck {
  switch (probe.kind) {
    case "http":
      return {
        httpHealthCheck: {
          path: probe.path,
          method: RequestMethod[probe.method as keyof typeof RequestMethod],
          ...(probe.host === undefined ? {} : { host: probe.host }),
          ...(probe.speaksHttp2 ? { codecClientType: CodecClientType.HTTP2 } : {}),
          requestHeadersToAdd: probe.headers.map(([key, value]) => ({
            header: { key, value },
            appendAction: overwrite,
          })),
          expectedStatuses: probe.expectedStatuses.map(({ start, end }) => ({ start, end })),
          retriableStatuses: probe.retriableStatuses.map(({ start, end }) => ({ start, end })),
        },
      };
    case "tcp":
      return {
        tcpHealthCheck: {
          ...(probe.send === undefined ? {} : { send: { text: probe.send } }),
          receive: probe.receive.map((text) => ({ text })),
        },
      };
    case "grpc":
      return {
        grpcHealthCheck: {
          serviceName: probe.service,
          ...(probe.authority === undefined ? {} : { authority: probe.authority }),
        },
      };
  }
}

function fromProbe(wire: WireCheck, path: string, reading: Reading): HealthProbe | undefined {
  if (wire.httpHealthCheck) return fromHttp(wire.httpHealthCheck, `${path}.httpHealthCheck`, reading);
  if (wire.tcpHealthCheck) return fromTcp(wire.tcpHealthCheck, `${path}.tcpHealthCheck`, reading);
  if (wire.grpcHealthCheck) return fromGrpc(wire.grpcHealthCheck);
  reading.problem(path, "says neither HTTP nor TCP nor gRPC");
  return undefined;
}

function fromHttp(
  wire: messages.envoy.config.core.v3.HealthCheck.HttpHealthCheck,
  path: string,
  reading: Reading,
): HttpProbe {
  const codec = wire.codecClientType ?? CodecClientType.HTTP1;
  if (codec === CodecClientType.HTTP3) reading.problem(`${path}.codecClientType`, "HTTP3 is not supported");
  const expected = (wire.expectedStatuses ?? []).map(fromRange);
  const method = Object.entries(RequestMethod).find(
    ([, number]) => number === (wire.method || RequestMethod.GET),
  );
  return {
    kind: "http",
    path: wire.path ?? "",
    method: method?.[0] ?? "GET",
    ...(wire.host ? { host: wire.host } : {}),
    ...(codec === CodecClientType.HTTP2 ? { speaksHttp2: true } : {}),
    headers: (wire.requestHeadersToAdd ?? []).map(
      ({ header }) => [header?.key ?? "", header?.value ?? ""] as const,
    ),
    expectedStatuses: expected.length > 0 ? expected : [{ start: 200, end: 201 }],
    retriableStatuses: (wire.retriableStatuses ?? []).map(fromRange),
  };
}

function fromTcp(
  wire: messages.envoy.config.core.v3.HealthCheck.TcpHealthCheck,
  path: string,
  reading: Reading,
): TcpProbe {
  const hex = (payload: Payload, at: string): string => {
    if (payload.binary?.length) return Buffer.from(payload.binary).toString("hex");
    const text = payload.text ?? "";
    if (!/^([0-9a-f]{2})+$/i.test(text)) reading.problem(at, "is not a text of hex digits in pairs");
    return text.toLowerCase();
  };
  return {
    kind: "tcp",
    ...(wire.send ? { send: hex(wire.send, `${path}.send`) } : {}),
    receive: (wire.receive ?? []).map((payload, index) => hex(payload, `${path}.receive[${index}]`)),
  };
}

function fromGrpc({
  serviceName,
  authority,
}: messages.envoy.config.core.v3.HealthCheck.GrpcHealthCheck): GrpcProbe {
  return { kind: "grpc", service: serviceName ?? "", ...(authority ? { authority } : {}) };
}

/** 64-bit fields may come as Long objects, whose only conversion is their text. */
function fromRange({ start, end }: Range): StatusRange {
  return { start: Number(String(start ?? 0)), end: Number(String(end ?? 0)) };
}

/** HeaderValueOption.HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD: a check has one value per name. */
const overwrite = 2;
