/** When an endpoint that fails is left alone for a while (Istio's and Envoy's outlier detection). */
export interface OutlierDetection {
  /** Failures in a row of any kind ≥ 500; 0 turns it off. */
  readonly consecutive5xx: number;
  /** Answers 502, 503 or 504 in a row; 0 turns it off. */
  readonly consecutiveGatewayErrors: number;
  /** True: connect failures, resets and time-outs count for themselves, not as 503 and 504. */
  readonly splitLocalOrigin: boolean;
  /** Counts only with `splitLocalOrigin`; 0 turns it off. */
  readonly consecutiveLocalOriginFailures: number;
  /** ms between looks at who may come back. */
  readonly intervalMs: number;
  /** ms, times the number of ejections in short order, never more than 300 s or this, whichever is more. */
  readonly baseEjectionMs: number;
  /** 0..100; one endpoint may always be ejected. */
  readonly maxEjectionPercent: number;
  /** Answers that count as failures in place of those ≥ 500, as a 500 unless they are 502 to 504; absent: those. */
  readonly errorStatuses?: readonly number[];
  /** 0..100; with fewer healthy endpoints than this, ejections are ignored (Envoy's panic threshold). */
  readonly minHealthPercent: number;
}

/** Istio's defaults. */
export const defaultOutlierDetection: OutlierDetection = Object.freeze({
  consecutive5xx: 5,
  consecutiveGatewayErrors: 0,
  splitLocalOrigin: false,
  consecutiveLocalOriginFailures: 5,
  intervalMs: 10_000,
  baseEjectionMs: 30_000,
  maxEjectionPercent: 10,
  minHealthPercent: 0,
});
