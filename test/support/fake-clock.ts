import { setImmediate as nextTurn } from "node:timers/promises";
import type { CancelTimer, Clock } from "../../common/base/clock.ts";

interface Timer {
  readonly run: () => void;
  readonly everyMs: number | undefined;
  readonly number: number;
  at: number;
}

/** A clock that stands still until a test moves it. Wall and monotonic time move together. */
export class FakeClock implements Clock {
  readonly #epoch: number;
  readonly #timers = new Set<Timer>();
  #elapsed = 0;
  #started = 0;

  /** `epoch`: wall-clock ms at the start. Monotonic time starts at 0. */
  constructor(epoch = Date.UTC(2026, 0, 1)) {
    this.#epoch = epoch;
  }

  now(): number {
    return this.#epoch + this.#elapsed;
  }

  monotonic(): number {
    return this.#elapsed;
  }

  after(ms: number, run: () => void): CancelTimer {
    return this.#start(ms, run, undefined);
  }

  every(ms: number, run: () => void): CancelTimer {
    return this.#start(ms, run, Math.max(ms, 1));
  }

  /** Timers that are running: 0 proves that nothing was left behind. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  /**
   * Moves time by `ms`, running the timers on the way in the order that they are due. Promises settle before the first, after
   * each and at the end, so a timer started by a promise's continuation is seen too.
   */
  async advance(ms: number): Promise<void> {
    const until = this.#elapsed + ms;
    await settle();
    for (let timer = this.#nextDue(until); timer !== undefined; timer = this.#nextDue(until)) {
      this.#elapsed = Math.max(this.#elapsed, timer.at);
      if (timer.everyMs === undefined) this.#timers.delete(timer);
      else timer.at += timer.everyMs;
      timer.run();
      await settle();
    }
    this.#elapsed = until;
  }

  #start(ms: number, run: () => void, everyMs: number | undefined): CancelTimer {
    const timer: Timer = { run, everyMs, number: this.#started++, at: this.#elapsed + Math.max(ms, 0) };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  #nextDue(until: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.at > until) continue;
      const isEarlier = next === undefined || timer.at < next.at;
      if (isEarlier || (timer.at === next?.at && timer.number < next.number)) next = timer;
    }
    return next;
  }
}

/** Lets every promise that can settle without time passing do so: all microtasks, and what the event loop's next turn brings. */
export async function settle(): Promise<void> {
  await nextTurn();
}
