import { grpcStatusNames, grpcStatusNumber } from "../model/grpc-status.ts";
import type { CorsPolicy, FaultAbort, FaultDelay, FaultPolicy, FaultResponseLimit } from "../model/route.ts";
import messages from "./generated/messages.js";
import { fromStringMatcher, toStringMatcher } from "./string-matcher.ts";
import type { Reading } from "./wire.ts";
import {
  anyType,
  decodeMessage,
  fromDuration,
  fromFraction,
  packAny,
  toDuration,
  toFraction,
} from "./wire.ts";

type Any = messages.google.protobuf.Any;
type WireFault = messages.envoy.extensions.filters.http.fault.v3.HTTPFault;
type WireCors = messages.envoy.extensions.filters.http.cors.v3.CorsPolicy;

const HTTPFault = messages.envoy.extensions.filters.http.fault.v3.HTTPFault;
const WireCorsPolicy = messages.envoy.extensions.filters.http.cors.v3.CorsPolicy;
const faultType = "envoy.extensions.filters.http.fault.v3.HTTPFault";
const corsType = "envoy.extensions.filters.http.cors.v3.CorsPolicy";

/** Names of the HTTP filters in the connection manager; a route's `typed_per_filter_config` is keyed by them. */
export const faultFilter = "envoy.filters.http.fault";
export const corsFilter = "envoy.filters.http.cors";

/** A route's own settings for the filters of the connection manager. */
export interface RouteFilters {
  readonly fault?: FaultPolicy;
  readonly cors?: CorsPolicy;
}

export function toFilterConfig(filters: RouteFilters): { [name: string]: Any } {
  return {
    ...(filters.fault ? { [faultFilter]: packAny(faultType, HTTPFault, toFault(filters.fault)) } : {}),
    ...(filters.cors ? { [corsFilter]: packAny(corsType, WireCorsPolicy, toCors(filters.cors)) } : {}),
  };
}

/** `exponential` comes from the route's weft metadata, because Envoy delays by a fixed time only. */
export function fromFilterConfig(
  config: { readonly [name: string]: Any } | null | undefined,
  exponential: boolean,
  path: string,
  reading: Reading,
): RouteFilters {
  const filters: { fault?: FaultPolicy; cors?: CorsPolicy } = {};
  for (const [name, any] of Object.entries(config ?? {})) {
    const at = `${path}[${JSON.stringify(name)}]`;
    const type = anyType(any);
    if (type === faultType) {
      const fault = decodeMessage(HTTPFault, any.value ?? new Uint8Array(), at, reading);
      if (fault) filters.fault = fromFault(fault, exponential, at, reading);
    } else if (type === corsType) {
      const cors = decodeMessage(WireCorsPolicy, any.value ?? new Uint8Array(), at, reading);
      if (cors) filters.cors = fromCors(cors, at, reading);
    } else {
      reading.problem(at, `a filter of type ${JSON.stringify(type)} is not supported`);
    }
  }
  return filters;
}

function toFault({ delay, abort, responseLimit, maxActive }: FaultPolicy): WireFault {
  return {
    delay: delay && {
      ...(delay.kind === "header" ? { headerDelay: {} } : { fixedDelay: toDuration(delay.ms) }),
      percentage: toFraction(delay.fraction),
    },
    abort: abort && { ...toAbortKind(abort), percentage: toFraction(abort.fraction) },
    ...(responseLimit && {
      responseRateLimit: {
        ...(responseLimit.kibPerSecond === undefined
          ? { headerLimit: {} }
          : { fixedLimit: { limitKbps: responseLimit.kibPerSecond } }),
        percentage: toFraction(responseLimit.fraction),
      },
    }),
    ...(maxActive === undefined ? {} : { maxActiveFaults: { value: maxActive } }),
  };
}

function toAbortKind({ httpStatus, grpcStatus, fromHeader }: FaultAbort) {
  if (fromHeader) return { headerAbort: {} };
  if (grpcStatus === undefined) return { httpStatus: httpStatus ?? 503 };
  return { grpcStatus: grpcStatusNumber(grpcStatus) ?? 2 };
}

function fromFault(fault: WireFault, exponential: boolean, path: string, reading: Reading): FaultPolicy {
  reading.refuseUnknown(fault, faultType, path);
  for (const field of ["headers", "downstreamNodes", "upstreamCluster"] as const) {
    if (fault[field]?.length)
      reading.problem(`${path}.${field}`, "limiting a fault this way is not supported");
  }
  const delay = fault.delay && fromDelay(fault.delay, exponential, `${path}.delay`, reading);
  const { abort, responseRateLimit } = fault;
  if (abort)
    reading.refuseUnknown(abort, "envoy.extensions.filters.http.fault.v3.FaultAbort", `${path}.abort`);
  const limit = responseRateLimit && fromRateLimit(responseRateLimit, `${path}.responseRateLimit`, reading);
  return {
    ...(delay && { delay }),
    ...(abort && {
      abort: { ...abortStatus(abort, `${path}.abort`, reading), fraction: fromFraction(abort.percentage) },
    }),
    ...(limit && { responseLimit: limit }),
    ...(fault.maxActiveFaults ? { maxActive: fault.maxActiveFaults.value ?? 0 } : {}),
  };
}

function fromDelay(
  delay: messages.envoy.extensions.filters.common.fault.v3.FaultDelay,
  exponential: boolean,
  path: string,
  reading: Reading,
): FaultDelay | undefined {
  reading.refuseUnknown(delay, "envoy.extensions.filters.common.fault.v3.FaultDelay", path);
  const fraction = fromFraction(delay.percentage);
  if (delay.headerDelay) return { kind: "header", fraction };
  if (!delay.fixedDelay) return undefined;
  return { kind: exponential ? "exponential" : "fixed", ms: fromDuration(delay.fixedDelay), fraction };
}

function fromRateLimit(
  limit: messages.envoy.extensions.filters.common.fault.v3.FaultRateLimit,
  path: string,
  reading: Reading,
): FaultResponseLimit | undefined {
  reading.refuseUnknown(limit, "envoy.extensions.filters.common.fault.v3.FaultRateLimit", path);
  const fraction = fromFraction(limit.percentage);
  if (limit.headerLimit) return { fraction };
  // A 64-bit field may come as a Long object, whose only conversion is its text.
  const kibPerSecond = Number(String(limit.fixedLimit?.limitKbps ?? 0));
  if (kibPerSecond >= 1) return { fraction, kibPerSecond };
  reading.problem(`${path}.fixedLimit.limitKbps`, "is not at least 1");
  return undefined;
}

function abortStatus(
  abort: messages.envoy.extensions.filters.http.fault.v3.FaultAbort,
  path: string,
  reading: Reading,
): Omit<FaultAbort, "fraction"> {
  if (abort.headerAbort) return { fromHeader: true };
  if (typeof abort.grpcStatus === "number") {
    const name = grpcStatusNames[abort.grpcStatus];
    if (name !== undefined) return { grpcStatus: name };
    reading.problem(`${path}.grpcStatus`, `${abort.grpcStatus} is not a gRPC status`);
    return {};
  }
  const status = abort.httpStatus ?? 0;
  if (status < 200 || status > 599)
    reading.problem(`${path}.httpStatus`, `${status} is not a status from 200 to 599`);
  return { httpStatus: status };
}

function toCors(cors: CorsPolicy): WireCors {
  return {
    allowOriginStringMatch: cors.allowOrigins.map(toStringMatcher),
    allowMethods: cors.allowMethods.join(","),
    allowHeaders: cors.allowHeaders.join(","),
    exposeHeaders: cors.exposeHeaders.join(","),
    maxAge: cors.maxAgeSeconds === undefined ? "" : String(cors.maxAgeSeconds),
    allowCredentials: { value: cors.allowCredentials },
    forwardNotMatchingPreflights: { value: cors.forwardUnmatchedPreflights },
  };
}

function fromCors(cors: WireCors, path: string, reading: Reading): CorsPolicy {
  const maxAge = cors.maxAge ? Number(cors.maxAge) : undefined;
  if (maxAge !== undefined && !Number.isInteger(maxAge))
    reading.problem(`${path}.maxAge`, `${cors.maxAge} is not a number of seconds`);
  return {
    allowOrigins: (cors.allowOriginStringMatch ?? []).flatMap(
      (matcher, index) =>
        fromStringMatcher(matcher, `${path}.allowOriginStringMatch[${index}]`, reading) ?? [],
    ),
    allowMethods: words(cors.allowMethods),
    allowHeaders: words(cors.allowHeaders),
    exposeHeaders: words(cors.exposeHeaders),
    ...(maxAge === undefined ? {} : { maxAgeSeconds: maxAge }),
    allowCredentials: cors.allowCredentials?.value === true,
    forwardUnmatchedPreflights: cors.forwardNotMatchingPreflights
      ? cors.forwardNotMatchingPreflights.value === true
      : true,
  };
}

function words(list: string | null | undefined): string[] {
  return (list ?? "")
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");
}
