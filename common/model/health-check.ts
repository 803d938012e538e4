/** How callers of a cluster ask its endpoints whether they are well (Envoy's HealthCheck; a cluster has one). */
export interface HealthCheck {
  readonly probe: HealthProbe;
  /** ms between two checks of an endpoint. */
  readonly intervalMs: number;
  /** The same for an endpoint that is not well; absent: `intervalMs`. */
  readonly unhealthyIntervalMs?: number;
  /** The same while the cluster has not been called yet; Envoy's default 60 s. */
  readonly noTrafficIntervalMs: number;
  /** ms, at most: how much later, at random, each check begins. 0: never. */
  readonly intervalJitterMs: number;
  /** 0..100: the same as a share of the interval that is due. */
  readonly intervalJitterPercent: number;
  /** ms, at most: how much later, at random, the first check of an endpoint begins. */
  readonly initialJitterMs: number;
  /** ms until a check without an answer has failed. */
  readonly timeoutMs: number;
  /** Successes in a row after which an endpoint that failed is well again. */
  readonly healthyThreshold: number;
  /** Failures in a row after which an endpoint is not well any more. */
  readonly unhealthyThreshold: number;
  /** Whether the connection of one check serves the next. */
  readonly reusesConnection: boolean;
  /** 0..100; with fewer well endpoints than this, all are called (Envoy's panic threshold). */
  readonly minHealthPercent: number;
  /** A check that succeeds brings back an endpoint that outlier detection has ejected. */
  readonly endsEjection?: boolean;
}

export type HealthProbe = HttpProbe | TcpProbe | GrpcProbe;

/** A request whose answer's status tells. */
export interface HttpProbe {
  readonly kind: "http";
  readonly path: string;
  /** Upper case: GET, HEAD, … */
  readonly method: string;
  /** Absent: the service's, where the cluster names one (Envoy: the cluster's name). */
  readonly host?: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly expectedStatuses: readonly StatusRange[];
  /** Absent: HTTP/1.1. */
  readonly speaksHttp2?: true;
  /** Other statuses that count as one failure. A status in neither list fails the endpoint at once. */
  readonly retriableStatuses: readonly StatusRange[];
}

/** Statuses from `start` up to, and without, `end`. */
export interface StatusRange {
  readonly start: number;
  readonly end: number;
}

/** A connection that opens tells; bytes as hex. */
export interface TcpProbe {
  readonly kind: "tcp";
  readonly send?: string;
  /** Must come in this order; other bytes may stand between them. */
  readonly receive: readonly string[];
}

/** grpc.health.v1.Health/Check. */
export interface GrpcProbe {
  readonly kind: "grpc";
  /** Empty: the server as a whole. */
  readonly service: string;
  /** Absent: as for `HttpProbe.host`. */
  readonly authority?: string;
}
