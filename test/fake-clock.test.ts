import { describe, expect, it } from "vitest";
import { FakeClock } from "./support/fake-clock.ts";

describe("FakeClock", () => {
  it("runs timers in the order that they are due, each at its own time", async () => {
    const clock = new FakeClock();
    const seen: string[] = [];
    clock.after(20, () => seen.push(`b@${clock.monotonic()}`));
    clock.after(10, () => seen.push(`a@${clock.monotonic()}`));
    clock.after(20, () => seen.push(`c@${clock.monotonic()}`));
    await clock.advance(25);
    expect(seen).toEqual(["a@10", "b@20", "c@20"]);
    expect(clock.monotonic()).toBe(25);
    expect(clock.pendingTimers).toBe(0);
  });

  it("sees a timer that a promise starts after another timer", async () => {
    const clock = new FakeClock();
    const wait = (ms: number) => new Promise<void>((resolve) => clock.after(ms, resolve));
    let doneAt = -1;
    void wait(5)
      .then(() => wait(5))
      .then(() => {
        doneAt = clock.monotonic();
      });
    await clock.advance(10);
    expect(doneAt).toBe(10);
  });

  it("repeats until cancelled", async () => {
    const clock = new FakeClock();
    let count = 0;
    const stop = clock.every(10, () => count++);
    await clock.advance(35);
    stop();
    await clock.advance(100);
    expect(count).toBe(3);
  });
});
