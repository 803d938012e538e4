import type { CancelTimer, Clock } from "../../../common/base/clock.ts";
import type { Random } from "../../../common/base/random.ts";
import type { HealthCheck } from "../../../common/model/health-check.ts";
import type { HealthRecord } from "./health-record.ts";
import type { ProbeResult, Prober } from "./probe.ts";

/** What is checked: an endpoint, as far as checks know it. */
export interface Checked {
  readonly health: HealthRecord;
  readonly isEligible: boolean;
}

/** An endpoint became well or stopped being it. */
export interface HealthChange<C> {
  readonly endpoint: C;
  readonly isWell: boolean;
  /** Why not, such as `status 503`; "" when it is well. */
  readonly why: string;
}

export interface HealthCheckerParts<C extends Checked> {
  readonly clock: Clock;
  readonly random: Random;
  readonly prober: (endpoint: C, check: HealthCheck) => Prober;
  /** Whether anybody has called the cluster yet. */
  readonly wasCalled: () => boolean;
  /** Somebody became well or stopped being it: choose anew. */
  readonly onChange: (change: HealthChange<C>) => void;
  /** A check succeeded. */
  readonly onSuccess: (endpoint: C) => void;
}

/**
 * Asks every endpoint of a cluster from time to time whether it is well (Envoy's active health checking). Checks begin at random moments
 * within the jitter, so that neither many endpoints nor many proxies are asked, or ask, at once.
 */
export class HealthChecker<C extends Checked> {
  /** Since the beginning. */
  attempts = 0;
  successes = 0;
  failures = 0;
  readonly #check: HealthCheck;
  readonly #parts: HealthCheckerParts<C>;
  readonly #sessions = new Map<C, Session<C>>();

  constructor(check: HealthCheck, parts: HealthCheckerParts<C>) {
    this.#check = check;
    this.#parts = parts;
  }

  /**
   * Checks these endpoints and no others. One that is new counts as well until its first check when nobody else of the cluster could take
   * its requests (a proxy that has just started must not wait for checks); else it has to pass a check first.
   */
  watch(endpoints: readonly C[]): void {
    const kept = new Set(endpoints);
    for (const [endpoint, session] of this.#sessions) {
      if (kept.has(endpoint)) continue;
      session.stop();
      this.#sessions.delete(endpoint);
    }
    const isServed = [...this.#sessions.keys()].some(({ isEligible }) => isEligible);
    for (const endpoint of endpoints) {
      if (this.#sessions.has(endpoint)) continue;
      if (isServed) endpoint.health.isWell = false;
      const session = new Session(endpoint, this.#check, this.#parts, this);
      this.#sessions.set(endpoint, session);
      session.start();
    }
  }

  /** Ends all checks. `isOver`: nobody checks the endpoints any more, so all of them count as well. */
  stop(isOver: boolean): void {
    for (const [endpoint, session] of this.#sessions) {
      session.stop();
      if (isOver) endpoint.health.clear();
    }
    this.#sessions.clear();
  }
}

/** The checks of one endpoint: one at a time, each followed by a pause. */
class Session<C extends Checked> {
  readonly #endpoint: C;
  readonly #check: HealthCheck;
  readonly #parts: HealthCheckerParts<C>;
  readonly #counts: HealthChecker<C>;
  readonly #prober: Prober;
  #cancelTimer: CancelTimer | undefined = undefined;
  /** Which check is under way; a result for another one comes too late. */
  #round = 0;

  constructor(endpoint: C, check: HealthCheck, parts: HealthCheckerParts<C>, counts: HealthChecker<C>) {
    this.#endpoint = endpoint;
    this.#check = check;
    this.#parts = parts;
    this.#counts = counts;
    this.#prober = parts.prober(endpoint, check);
  }

  start(): void {
    this.#wait(this.#check.initialJitterMs * this.#parts.random(), () => this.#begin());
  }

  stop(): void {
    this.#round++;
    this.#cancelTimer?.();
    this.#prober.close();
  }

  #begin(): void {
    const round = ++this.#round;
    this.#counts.attempts++;
    this.#wait(this.#check.timeoutMs, () => {
      this.#prober.close();
      this.#ended(round, { isWell: false, why: "timeout" });
    });
    void this.#prober.ask().then((result) => this.#ended(round, result));
  }

  #ended(round: number, result: ProbeResult): void {
    if (round !== this.#round) return;
    this.#round++;
    this.#cancelTimer?.();
    if (result.isWell) {
      this.#counts.successes++;
      this.#parts.onSuccess(this.#endpoint);
    } else this.#counts.failures++;
    this.#note(result);
    this.#pause(this.#parts.clock.monotonic());
  }

  #note(result: ProbeResult): void {
    const { health } = this.#endpoint;
    if (!result.isWell) health.lastFailure = result.why;
    const isFirst = !health.isChecked;
    health.isChecked = true;
    if (result.isWell === health.isWell) {
      health.contradictions = 0;
      return;
    }
    const threshold = result.isWell ? this.#check.healthyThreshold : this.#check.unhealthyThreshold;
    const isDecided = isFirst || (!result.isWell && result.atOnce === true);
    if (++health.contradictions < threshold && !isDecided) return;
    health.contradictions = 0;
    health.isWell = result.isWell;
    if (result.isWell) health.lastFailure = "";
    this.#parts.onChange({ endpoint: this.#endpoint, isWell: health.isWell, why: health.lastFailure });
  }

  /** A cluster that nobody calls is checked seldom; from the first call on, no later than a whole interval after it. */
  #pause(since: number): void {
    const { clock, random, wasCalled } = this.#parts;
    const {
      intervalMs,
      unhealthyIntervalMs = intervalMs,
      noTrafficIntervalMs,
      intervalJitterMs,
      intervalJitterPercent,
    } = this.#check;
    const usual = this.#endpoint.health.isWell ? intervalMs : unhealthyIntervalMs;
    const isCalled = wasCalled();
    const untilMs = isCalled ? usual : noTrafficIntervalMs;
    const leftMs = since + untilMs - clock.monotonic();
    if (isCalled || leftMs <= usual) {
      const jitterMs = (intervalJitterMs + (untilMs * intervalJitterPercent) / 100) * random();
      this.#wait(Math.max(0, leftMs) + jitterMs, () => this.#begin());
    } else this.#wait(usual, () => this.#pause(since));
  }

  #wait(ms: number, run: () => void): void {
    this.#cancelTimer?.();
    this.#cancelTimer = this.#parts.clock.after(ms, run);
  }
}
