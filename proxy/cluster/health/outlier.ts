import type { CancelTimer, Clock } from "../../../common/base/clock.ts";
import type { OutlierDetection } from "../../../common/model/outlier-detection.ts";

/** What is remembered of one endpoint. Lives as long as the endpoint does. */
export class OutlierRecord {
  /** Failures in a row, by kind. */
  consecutive5xx = 0;
  consecutiveGatewayErrors = 0;
  consecutiveLocalOriginFailures = 0;
  /** Monotonic ms; undefined while it takes traffic. */
  ejectedAt: number | undefined = undefined;
  /** Monotonic ms of its last return, or of the last time that good conduct took an ejection off. */
  goodSince = 0;
  /** Ejections that still count: what the next one's time is multiplied by. */
  ejections = 0;

  get isEjected(): boolean {
    return this.ejectedAt !== undefined;
  }
}

export interface OutlierParts {
  readonly clock: Clock;
  /** Every endpoint of the cluster now. */
  readonly records: () => readonly OutlierRecord[];
  /** Somebody was ejected or has come back. */
  readonly onChange: () => void;
}

/** What a status counts as where failures are listed. */
function asFailure(status: number, errorStatuses: readonly number[]): number {
  if (!errorStatuses.includes(status)) return 200;
  return status >= 502 && status <= 504 ? status : 500;
}

/** ms; no ejection takes longer, unless a single one does (Envoy's max_ejection_time). */
const maxEjectionMs = 300_000;

/**
 * Leaves endpoints alone that fail several times in a row (Envoy's outlier detection, consecutive kinds). An ejection takes the base time
 * times the endpoint's ejections so far; each interval of good conduct takes one of them off again. While nobody is ejected or on
 * probation no timer runs.
 */
export class OutlierDetector {
  /** Ejections since the beginning. */
  ejections = 0;
  #policy: OutlierDetection;
  readonly #parts: OutlierParts;
  #cancelSweep: CancelTimer | undefined = undefined;

  constructor(policy: OutlierDetection, parts: OutlierParts) {
    this.#policy = policy;
    this.#parts = parts;
  }

  /** Endpoints that take no traffic now. */
  get ejected(): number {
    return this.#parts.records().filter(({ isEjected }) => isEjected).length;
  }

  /** New numbers; counts and ejections stay. */
  set policy(policy: OutlierDetection) {
    const isSameInterval = policy.intervalMs === this.#policy.intervalMs;
    this.#policy = policy;
    if (this.#cancelSweep === undefined || isSameInterval) return;
    this.#stopSweep();
    this.#startSweep();
  }

  /** The endpoint answered. */
  answered(record: OutlierRecord, status: number): void {
    record.consecutiveLocalOriginFailures = 0;
    const { errorStatuses } = this.#policy;
    this.#count(record, errorStatuses === undefined ? status : asFailure(status, errorStatuses));
  }

  /**
   * The endpoint gave no answer: it could not be reached (`status` 503), broke off (503), or took too long (504). Without the split it
   * counts as if it had answered that.
   */
  failed(record: OutlierRecord, status: 503 | 504): void {
    if (!this.#policy.splitLocalOrigin) {
      this.#count(record, status);
      return;
    }
    const limit = this.#policy.consecutiveLocalOriginFailures;
    if (++record.consecutiveLocalOriginFailures !== limit) return;
    this.#eject(record);
    record.consecutiveLocalOriginFailures = 0;
  }

  /** Something else has shown that the endpoint is well: its ejection ends now. */
  forgive(record: OutlierRecord): void {
    if (record.isEjected) this.#uneject(record);
  }

  /** Outlier detection is over: all come back. */
  stop(): void {
    this.#stopSweep();
    for (const record of this.#parts.records()) {
      record.ejections = 0;
      if (record.isEjected) this.#uneject(record);
    }
  }

  #count(record: OutlierRecord, status: number): void {
    if (status < 500) {
      record.consecutive5xx = 0;
      record.consecutiveGatewayErrors = 0;
      return;
    }
    const { consecutive5xx, consecutiveGatewayErrors } = this.#policy;
    if (status >= 502 && status <= 504) {
      if (++record.consecutiveGatewayErrors === consecutiveGatewayErrors) this.#eject(record);
    } else record.consecutiveGatewayErrors = 0;
    if (++record.consecutive5xx === consecutive5xx) this.#eject(record);
    // Whoever could not be ejected now because too many are gets a new chance to fail, as in Envoy.
    if (record.consecutiveGatewayErrors >= consecutiveGatewayErrors) record.consecutiveGatewayErrors = 0;
    if (record.consecutive5xx >= consecutive5xx) record.consecutive5xx = 0;
  }

  #eject(record: OutlierRecord): void {
    if (record.isEjected) return;
    const { ejected } = this;
    const percent = (100 * (ejected + 1)) / this.#parts.records().length;
    if (ejected > 0 && percent > this.#policy.maxEjectionPercent) return;
    record.ejectedAt = this.#parts.clock.monotonic();
    record.ejections++;
    this.ejections++;
    if (this.#cancelSweep === undefined) this.#startSweep();
    this.#parts.onChange();
  }

  #startSweep(): void {
    this.#cancelSweep = this.#parts.clock.every(this.#policy.intervalMs, () => this.#sweep());
  }

  #stopSweep(): void {
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
  }

  #sweep(): void {
    const now = this.#parts.clock.monotonic();
    const { baseEjectionMs, intervalMs } = this.#policy;
    let isWatching = false;
    for (const record of this.#parts.records()) {
      if (record.ejectedAt !== undefined) {
        const ms = Math.min(baseEjectionMs * record.ejections, Math.max(maxEjectionMs, baseEjectionMs));
        if (now - record.ejectedAt >= ms) this.#uneject(record);
      } else if (record.ejections > 0 && now - record.goodSince >= intervalMs) {
        record.ejections--;
        record.goodSince = now;
      }
      isWatching ||= record.ejections > 0;
    }
    if (!isWatching) this.#stopSweep();
  }

  #uneject(record: OutlierRecord): void {
    record.ejectedAt = undefined;
    record.goodSince = this.#parts.clock.monotonic();
    record.consecutive5xx = 0;
    record.consecutiveGatewayErrors = 0;
    record.consecutiveLocalOriginFailures = 0;
    this.#parts.onChange();
  }
}
