import { beforeEach, describe, expect, it } from "vitest";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { Debounce } from "./debounce.ts";

describe("Debounce", () => {
  let clock: FakeClock;
  let runs: number[];
  let debounce: Debounce;

  beforeEach(() => {
    clock = new FakeClock();
    runs = [];
    debounce = new Debounce(clock, { quietMs: 10, maxDelayMs: 100 }, () => runs.push(debounce.since!));
  });

  it("runs once when it has been quiet, and knows since when there was something to do", async () => {
    await clock.advance(5);
    debounce.call();
    await clock.advance(9);
    debounce.call();
    await clock.advance(9);
    expect(runs).toEqual([]);
    await clock.advance(1);
    expect(runs).toEqual([5]);
    await clock.advance(1000);
    expect(runs).toHaveLength(1);
  });

  it("runs at the latest after the longest delay, however many calls keep coming", async () => {
    for (let ms = 0; ms < 300; ms += 5) {
      debounce.call();
      await clock.advance(5);
    }
    expect(runs.length).toBeGreaterThanOrEqual(2);
    expect(runs[1]! - runs[0]!).toBeLessThanOrEqual(105);
  });

  it("runs at once when flushed, and not for nothing", () => {
    debounce.flush();
    expect(runs).toEqual([]);
    debounce.call();
    debounce.flush();
    expect(runs).toEqual([0]);
    expect(clock.pendingTimers).toBe(0);
  });

  it("takes the next change although the last one failed", async () => {
    const failing = new Debounce(clock, { quietMs: 10, maxDelayMs: 100 }, () => {
      runs.push(0);
      throw new Error("no");
    });
    failing.call();
    expect(() => failing.flush()).toThrow("no");
    failing.call();
    expect(() => failing.flush()).toThrow("no");
    expect(runs).toHaveLength(2);
  });

  it("leaves no timer behind when stopped", async () => {
    debounce.call();
    debounce.stop();
    await clock.advance(1000);
    expect({ runs, timers: clock.pendingTimers }).toEqual({ runs: [], timers: 0 });
  });
});
