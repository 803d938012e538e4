/**
 * When calls to a destination stop, and what is answered instead (own kind CircuitBreaker). `D`: a cluster's name, in the
 * control plane a service reference.
 */
export interface CircuitBreakerPolicy<D = string> {
  /** `namespace/name` of the resource; with the cluster it names one circuit. */
  readonly name: string;
  /** 0..1: the share of failed calls at which the circuit opens. */
  readonly errorRate: number;
  /** A call that has no response headers after `durationMs` is slow; `rate` 0..1 is the share at which the circuit opens. */
  readonly slowCalls?: { readonly rate: number; readonly durationMs: number };
  /** Calls within the window below which it never opens. */
  readonly volumeThreshold: number;
  readonly windowMs: number;
  /** How long it stays open before the first probe. */
  readonly resetMs: number;
  /** Successful probes that close it; at most as many are under way at once. */
  readonly probes: number;
  /** What counts as failed: "5xx", "connect-failure", "reset", "timeout", or a status such as "429". */
  readonly errors: readonly string[];
  readonly fallback?: BreakerFallback<D>;
}

export type BreakerFallback<D = string> =
  | DirectResponseFallback
  | { readonly kind: "destination"; readonly destination: D }
  | LastGoodFallback;

export interface DirectResponseFallback {
  readonly kind: "direct-response";
  readonly status: number;
  readonly body: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/** Answers GET and HEAD with the last good answer to an equal request. */
export interface LastGoodFallback {
  readonly kind: "last-good-response";
  readonly maxAgeMs: number;
  /** Bytes of all kept bodies together, per circuit. */
  readonly maxBytes: number;
  /** Lower case: request headers whose values make requests different, besides those that always do. */
  readonly vary: readonly string[];
}
