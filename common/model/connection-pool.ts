/**
 * What one proxy may have under way towards a cluster, and how long its connections live (Istio's connectionPool, Envoy's circuit
 * breaker thresholds). Counts are over all endpoints of the cluster; what is absent has no limit of its own.
 */
export interface ConnectionPool {
  /** Each endpoint may always have one, so that its requests are not stuck (as in Envoy). */
  readonly maxConnections?: number;
  /** Requests that wait for a connection (http1MaxPendingRequests). */
  readonly maxPendingRequests?: number;
  /** Requests under way, waiting ones included (http2MaxRequests, which counts for HTTP/1.1 too). */
  readonly maxRequests?: number;
  /** Requests that are retries at one time. Takes the place of the retry budget. */
  readonly maxRetries?: number;
  /** ≥ 1; 1 means no keep-alive. */
  readonly maxRequestsPerConnection?: number;
  /** ms until a connection without requests is closed. */
  readonly idleTimeoutMs?: number;
  /** ms after which a connection takes no further request. */
  readonly maxConnectionDurationMs?: number;
  readonly tcpKeepalive?: TcpKeepalive;
  /** Requests at a time on one HTTP/2 connection, when the server allows more. */
  readonly maxConcurrentStreams?: number;
  /** False: requests of HTTP/1.1 to another of our sidecars do not share a connection. */
  readonly sharesConnections?: false;
  /** When an HTTP/2 server that owes answers is asked whether it still lives. */
  readonly http2Keepalive?: Http2Keepalive;
}

/** PING frames (Envoy's connection_keepalive). */
export interface Http2Keepalive {
  /** ms of silence before a PING. */
  readonly intervalMs: number;
  /** ms that the answer may take. */
  readonly timeoutMs: number;
}

/** When the kernel asks a silent peer whether it still lives; what is absent is the kernel's own. */
export interface TcpKeepalive {
  /** Unanswered probes after which the connection is dead. */
  readonly probes?: number;
  /** Seconds of silence before the first probe. */
  readonly timeSeconds?: number;
  /** Seconds between probes. */
  readonly intervalSeconds?: number;
}

/** How many requests may be retries at one time: `max(minConcurrency, fraction × requests under way)` (Envoy's retry_budget). */
export interface RetryBudget {
  /** 0..1 */
  readonly fraction: number;
  readonly minConcurrency: number;
  /** ms: requests of the last so many count as under way too (Istio's budgetInterval). Absent: only those that are. */
  readonly intervalMs?: number;
}

/** Istio's retryBudget defaults, in force for every cluster that says nothing else. */
export const defaultRetryBudget: RetryBudget = Object.freeze({ fraction: 0.2, minConcurrency: 3 });
