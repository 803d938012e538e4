import { z } from "zod";
import type { UpstreamProtocol } from "../../../common/model/cluster.ts";
import type {
  ConnectionPool,
  Http2Keepalive,
  RetryBudget,
  TcpKeepalive,
} from "../../../common/model/connection-pool.ts";
import { defaultRetryBudget } from "../../../common/model/connection-pool.ts";
import { durationField, durationMs } from "../fields/duration.ts";
import { countField } from "../fields/numbers.ts";

const limitField = countField.optional();

/** Istio's ConnectionPoolSettings. A limit of 0 says nothing, as in Istio, where protobuf cannot tell it from absent. */
export const connectionPoolField = z.strictObject({
  tcp: z
    .strictObject({
      connectTimeout: durationField(1).optional().describe("Default 10s."),
      maxConnections: limitField.describe(
        "To all endpoints together; each may always have one. Default: no limit.",
      ),
      tcpKeepalive: z
        .strictObject({
          probes: limitField.describe("Unanswered probes after which the connection is dead."),
          time: durationField(1000).optional().describe("Silence before the first probe."),
          interval: durationField(1000).optional().describe("Between probes."),
        })
        .optional()
        .describe("What it leaves out is the kernel's own."),
      maxConnectionDuration: durationField(1)
        .optional()
        .describe("After it a connection takes no further request. Default: no limit."),
      idleTimeout: durationField()
        .optional()
        .describe(
          "Of connections whose bytes are passed on: how long nothing may come from either side. Default 1h; 0s: for ever.",
        ),
    })
    .optional(),
  http: z
    .strictObject({
      http1MaxPendingRequests: limitField.describe("Requests that wait for a connection. Default: no limit."),
      http2MaxRequests: limitField.describe("Requests under way, HTTP/1.1 too. Default: no limit."),
      maxRequestsPerConnection: limitField.describe("1 means no keep-alive. Default: no limit."),
      maxRetries: limitField.describe("Requests that are retries at one time, in place of the retry budget."),
      idleTimeout: durationField(1)
        .optional()
        .describe(
          "Until a connection without requests is closed. Default 4.5s, less than servers keep theirs.",
        ),
      h2UpgradePolicy: z
        .enum(["DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"])
        .optional()
        .describe(
          "UPGRADE: HTTP/2 to HTTP/1.1 ports, too. DO_NOT_UPGRADE: not even two sidecars share a connection. Default: HTTP/2 to HTTP2 and GRPC ports; requests of HTTP/1.1 between two sidecars share a connection.",
        ),
      useClientProtocol: z
        .boolean()
        .optional()
        .describe(
          "Each request is sent in the version of HTTP that its client spoke; no upgrade applies then.",
        ),
      maxConcurrentStreams: limitField.describe(
        "Requests at a time on one HTTP/2 connection. Default: what the server allows.",
      ),
      http2KeepAlive: z
        .strictObject({
          interval: durationField(1)
            .optional()
            .describe("Silence, while answers are awaited, before a PING; default 30s."),
          timeout: durationField(1).optional().describe("That the answer to a PING may take; default 10s."),
        })
        .optional()
        .describe("HTTP/2 connections that do not answer are given up."),
    })
    .optional(),
});

/** Istio's retryBudget. */
export const retryBudgetField = z.strictObject({
  percent: z
    .number()
    .min(0, { error: percentError })
    .max(100, { error: percentError })
    .optional()
    .describe("Of the requests under way that may be retries, default 20."),
  minRetryConcurrency: countField
    .optional()
    .describe("Retries that are always allowed at one time, default 3."),
  budgetInterval: durationField()
    .optional()
    .describe("Requests of the last so long count as under way too; default 0ms, only those that are."),
});

export interface CompiledConnectionPool extends ConnectionPool {
  readonly connectTimeoutMs?: number;
  /** For TCP; belongs to the chains that send to the cluster. */
  readonly tcpIdleTimeoutMs?: number;
  /** What the port's own protocol is overruled by. */
  readonly protocol?: UpstreamProtocol;
}

export function compileConnectionPool({
  tcp,
  http,
}: z.infer<typeof connectionPoolField>): CompiledConnectionPool {
  return {
    ...present("connectTimeoutMs", durationMs(tcp?.connectTimeout)),
    ...present("maxConnections", tcp?.maxConnections || undefined),
    ...present("maxPendingRequests", http?.http1MaxPendingRequests || undefined),
    ...present("maxRequests", http?.http2MaxRequests || undefined),
    ...present("maxRetries", http?.maxRetries || undefined),
    ...present("maxRequestsPerConnection", http?.maxRequestsPerConnection || undefined),
    ...present("idleTimeoutMs", durationMs(http?.idleTimeout)),
    ...present("tcpIdleTimeoutMs", durationMs(tcp?.idleTimeout)),
    ...present("maxConnectionDurationMs", durationMs(tcp?.maxConnectionDuration)),
    ...present("tcpKeepalive", tcp?.tcpKeepalive && compileKeepalive(tcp.tcpKeepalive)),
    ...present("maxConcurrentStreams", http?.maxConcurrentStreams || undefined),
    ...present("http2Keepalive", http?.http2KeepAlive && compileHttp2Keepalive(http.http2KeepAlive)),
    ...present(
      "sharesConnections",
      http?.h2UpgradePolicy === "DO_NOT_UPGRADE" ? (false as const) : undefined,
    ),
    ...present("protocol", overrulingProtocol(http)),
  };
}

function overrulingProtocol(
  http: { h2UpgradePolicy?: string | undefined; useClientProtocol?: boolean | undefined } | undefined,
): UpstreamProtocol | undefined {
  if (http?.useClientProtocol) return "client";
  return http?.h2UpgradePolicy === "UPGRADE" ? "http2" : undefined;
}

function compileHttp2Keepalive(input: {
  interval?: string | undefined;
  timeout?: string | undefined;
}): Http2Keepalive {
  return {
    intervalMs: durationMs(input.interval) ?? 30_000,
    timeoutMs: durationMs(input.timeout) ?? 10_000,
  };
}

export function compileRetryBudget(input: z.infer<typeof retryBudgetField>): RetryBudget {
  return {
    fraction: input.percent === undefined ? defaultRetryBudget.fraction : input.percent / 100,
    minConcurrency: input.minRetryConcurrency ?? defaultRetryBudget.minConcurrency,
    ...present("intervalMs", durationMs(input.budgetInterval) || undefined),
  };
}

function compileKeepalive(input: {
  probes?: number | undefined;
  time?: string | undefined;
  interval?: string | undefined;
}): TcpKeepalive {
  const seconds = (text: string | undefined) =>
    text === undefined ? undefined : Math.floor(durationMs(text) / 1000);
  return {
    ...present("probes", input.probes || undefined),
    ...present("timeSeconds", seconds(input.time)),
    ...present("intervalSeconds", seconds(input.interval)),
  };
}

function percentError({ input }: { readonly input?: unknown }): string {
  return `${String(input)} is not a percentage: it must be from 0 to 100`;
}

/** `{ key: value }`, or nothing when the value is undefined, as exactOptionalPropertyTypes wants it. */
function present<K extends string, T>(key: K, value: T | undefined): { readonly [P in K]?: T } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [P in K]?: T });
}
