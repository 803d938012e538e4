import type { Cluster } from "../model/cluster.ts";
import type { ConnectionPool, RetryBudget, TcpKeepalive } from "../model/connection-pool.ts";
import type { HealthCheck } from "../model/health-check.ts";
import type { OutlierDetection } from "../model/outlier-detection.ts";
import type messages from "./generated/messages.js";
import { fromHealthCheck, toHealthCheck } from "./health-check.ts";
import { fromHttpOptions, toHttpOptions } from "./http-options.ts";
import type { Reading } from "./wire.ts";
import { fromDuration, toDuration } from "./wire.ts";

type WireCluster = messages.envoy.config.cluster.v3.Cluster;
type WireOutlierDetection = messages.envoy.config.cluster.v3.OutlierDetection;
type Thresholds = messages.envoy.config.cluster.v3.CircuitBreakers.Thresholds;

/** Istio writes this for "no limit"; Envoy without a number has 1024. */
const noLimit = 2 ** 32 - 1;

type Policy = Pick<
  Cluster,
  "connectionPool" | "outlierDetection" | "healthCheck" | "retryBudget" | "protocol"
>;

/** The fields of a cluster that hold its pool limits, retry budget, outlier detection and health check. */
export function toClusterPolicy(policy: Policy): WireCluster {
  const { connectionPool, outlierDetection, healthCheck, retryBudget } = policy;
  const panicPercent = healthCheck?.minHealthPercent ?? outlierDetection?.minHealthPercent;
  return {
    ...(connectionPool || retryBudget
      ? { circuitBreakers: { thresholds: [toThresholds(connectionPool ?? {}, retryBudget)] } }
      : {}),
    ...toHttpOptions(policy),
    ...(connectionPool?.tcpKeepalive && {
      upstreamConnectionOptions: { tcpKeepalive: toKeepalive(connectionPool.tcpKeepalive) },
    }),
    ...(outlierDetection && {
      outlierDetection: {
        ...toOutlierDetection(outlierDetection),
        ...(healthCheck && {
          successfulActiveHealthCheckUnejectHost: { value: healthCheck.endsEjection === true },
        }),
      },
    }),
    ...(healthCheck && { healthChecks: [toHealthCheck(healthCheck)] }),
    ...(panicPercent === undefined
      ? {}
      : { commonLbConfig: { healthyPanicThreshold: { value: panicPercent } } }),
  };
}

export function fromClusterPolicy(message: WireCluster, reading: Reading): Policy {
  const { protocol, pool } = fromHttpOptions(message, reading);
  const connectionPool = fromConnectionPool(message, pool);
  const retryBudget = fromRetryBudget(defaultThresholds(message));
  const panicPercent = message.commonLbConfig?.healthyPanicThreshold?.value ?? defaultPanicPercent;
  const healthCheck = readHealthCheck(message, panicPercent, reading);
  return {
    ...(protocol && { protocol }),
    ...(connectionPool && { connectionPool }),
    ...(retryBudget && { retryBudget }),
    ...(message.outlierDetection && {
      outlierDetection: fromOutlierDetection(message.outlierDetection, panicPercent),
    }),
    ...(healthCheck && { healthCheck }),
  };
}

function readHealthCheck(
  { healthChecks, outlierDetection }: WireCluster,
  minHealthPercent: number,
  reading: Reading,
): HealthCheck | undefined {
  const [first, ...more] = healthChecks ?? [];
  if (first === undefined) return undefined;
  if (more.length > 0) reading.problem("healthChecks", "holds more than one check, which Envoy refuses too");
  const check = fromHealthCheck(first, "healthChecks[0]", reading);
  const unejects = outlierDetection?.successfulActiveHealthCheckUnejectHost;
  const endsEjection = outlierDetection != null && (unejects ? (unejects.value ?? false) : true);
  return check && { ...check, minHealthPercent, ...(endsEjection && { endsEjection }) };
}

/** Envoy's, for a cluster that names none. */
const defaultPanicPercent = 50;

function toThresholds(pool: ConnectionPool, budget: RetryBudget | undefined): Thresholds {
  return {
    maxConnections: { value: pool.maxConnections ?? noLimit },
    maxPendingRequests: { value: pool.maxPendingRequests ?? noLimit },
    maxRequests: { value: pool.maxRequests ?? noLimit },
    maxRetries: { value: pool.maxRetries ?? noLimit },
    ...(budget && {
      retryBudget: {
        budgetPercent: { value: Math.round(budget.fraction * 1e6) / 1e4 },
        minRetryConcurrency: { value: budget.minConcurrency },
      },
    }),
  };
}

function toKeepalive({ probes, timeSeconds, intervalSeconds }: TcpKeepalive) {
  return {
    ...(probes === undefined ? {} : { keepaliveProbes: { value: probes } }),
    ...(timeSeconds === undefined ? {} : { keepaliveTime: { value: timeSeconds } }),
    ...(intervalSeconds === undefined ? {} : { keepaliveInterval: { value: intervalSeconds } }),
  };
}

/** Undefined when the cluster says nothing of it. */
function fromConnectionPool(message: WireCluster, http: ConnectionPool): ConnectionPool | undefined {
  const thresholds = defaultThresholds(message);
  const keepalive = message.upstreamConnectionOptions?.tcpKeepalive;
  const pool: ConnectionPool = {
    ...limit("maxConnections", thresholds?.maxConnections?.value),
    ...limit("maxPendingRequests", thresholds?.maxPendingRequests?.value),
    ...limit("maxRequests", thresholds?.maxRequests?.value),
    ...limit("maxRetries", thresholds?.maxRetries?.value),
    ...http,
    ...(keepalive ? { tcpKeepalive: fromKeepalive(keepalive) } : {}),
  };
  return Object.keys(pool).length > 0 ? pool : undefined;
}

function limit<K extends keyof ConnectionPool>(
  key: K,
  value: number | null | undefined,
): { readonly [P in K]?: number } {
  if (value === undefined || value === null || value === noLimit) return {};
  return { [key]: value } as { readonly [P in K]?: number };
}

function fromKeepalive(wire: messages.envoy.config.core.v3.TcpKeepalive): TcpKeepalive {
  return {
    ...(wire.keepaliveProbes ? { probes: wire.keepaliveProbes.value ?? 0 } : {}),
    ...(wire.keepaliveTime ? { timeSeconds: wire.keepaliveTime.value ?? 0 } : {}),
    ...(wire.keepaliveInterval ? { intervalSeconds: wire.keepaliveInterval.value ?? 0 } : {}),
  };
}

/** Routes of high priority have thresholds of their own in Envoy; ours have one priority. */
function defaultThresholds(message: WireCluster): Thresholds | undefined {
  return message.circuitBreakers?.thresholds?.find(({ priority }) => !priority);
}

/** Absent parts have Envoy's defaults. */
function fromRetryBudget(thresholds: Thresholds | undefined): RetryBudget | undefined {
  const wire = thresholds?.retryBudget;
  if (!wire) return undefined;
  return {
    fraction: Math.min(1, (wire.budgetPercent ? (wire.budgetPercent.value ?? 0) : 20) / 100),
    minConcurrency: wire.minRetryConcurrency ? (wire.minRetryConcurrency.value ?? 0) : 3,
  };
}

function toOutlierDetection(policy: OutlierDetection): WireOutlierDetection {
  const localOrigin = policy.splitLocalOrigin ? policy.consecutiveLocalOriginFailures : 0;
  return {
    consecutive_5xx: { value: policy.consecutive5xx },
    enforcingConsecutive_5xx: enforcing(policy.consecutive5xx),
    consecutiveGatewayFailure: { value: policy.consecutiveGatewayErrors },
    enforcingConsecutiveGatewayFailure: enforcing(policy.consecutiveGatewayErrors),
    splitExternalLocalOriginErrors: policy.splitLocalOrigin,
    consecutiveLocalOriginFailure: { value: policy.consecutiveLocalOriginFailures },
    enforcingConsecutiveLocalOriginFailure: enforcing(localOrigin),
    // What no field asks for stays off: Envoy would compare success rates on its own.
    enforcingSuccessRate: { value: 0 },
    enforcingLocalOriginSuccessRate: { value: 0 },
    interval: toDuration(policy.intervalMs),
    baseEjectionTime: toDuration(policy.baseEjectionMs),
    maxEjectionPercent: { value: policy.maxEjectionPercent },
    alwaysEjectOneHost: { value: true },
  };
}

function enforcing(count: number) {
  return { value: count > 0 ? 100 : 0 };
}

/** Absent parts have Envoy's defaults; a detector that is enforced in part of the cases counts as on. */
function fromOutlierDetection(wire: WireOutlierDetection, panicPercent: number): OutlierDetection {
  const count = (value: Uint32, whenAbsent: number, enforced: Uint32, enforcedWhenAbsent: number) =>
    read(enforced, enforcedWhenAbsent) === 0 ? 0 : read(value, whenAbsent);
  const splitLocalOrigin = wire.splitExternalLocalOriginErrors ?? false;
  return {
    consecutive5xx: count(wire.consecutive_5xx, 5, wire.enforcingConsecutive_5xx, 100),
    consecutiveGatewayErrors: count(
      wire.consecutiveGatewayFailure,
      5,
      wire.enforcingConsecutiveGatewayFailure,
      0,
    ),
    splitLocalOrigin,
    // Without the split it is never enforced, and only the number is to be kept.
    consecutiveLocalOriginFailures: splitLocalOrigin
      ? count(wire.consecutiveLocalOriginFailure, 5, wire.enforcingConsecutiveLocalOriginFailure, 100)
      : read(wire.consecutiveLocalOriginFailure, 5),
    intervalMs: wire.interval ? fromDuration(wire.interval) : 10_000,
    baseEjectionMs: wire.baseEjectionTime ? fromDuration(wire.baseEjectionTime) : 30_000,
    maxEjectionPercent: Math.min(100, read(wire.maxEjectionPercent, 10)),
    minHealthPercent: panicPercent,
  };
}

type Uint32 = messages.google.protobuf.UInt32Value | null | undefined;

/** A wrapper that is there without a value is 0. */
function read(wrapper: Uint32, whenAbsent: number): number {
  return wrapper ? (wrapper.value ?? 0) : whenAbsent;
}
