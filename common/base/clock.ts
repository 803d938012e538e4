/** Time as an input: whatever waits or measures receives a Clock, so tests decide what time it is. */
export interface Clock {
  /** Wall clock, ms since the epoch. */
  now(): number;
  /** Monotonic clock, ms with a fraction; only differences mean anything. */
  monotonic(): number;
  /** Calls `run` once after `ms`; the result cancels it and may be called at any time. */
  after(ms: number, run: () => void): CancelTimer;
  /** Calls `run` every `ms` until cancelled. */
  every(ms: number, run: () => void): CancelTimer;
}

export type CancelTimer = () => void;

/** The machine's clock. Its timers do not keep the process alive on their own. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
  every(ms, run) {
    const timer = setInterval(run, ms);
    timer.unref();
    return () => clearInterval(timer);
  },
};
