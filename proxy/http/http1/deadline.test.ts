import { describe, expect, it } from "vitest";
import { FakeClock } from "../../../test/support/fake-clock.ts";
import { Deadline } from "./deadline.ts";

function watch() {
  const clock = new FakeClock();
  const expired: number[] = [];
  const deadline = new Deadline(clock, () => expired.push(clock.monotonic()));
  return { clock, expired, deadline };
}

describe("Deadline", () => {
  it("expires once, when its time has come", async () => {
    const { clock, expired, deadline } = watch();
    deadline.set(100, 0);
    await clock.advance(99);
    expect(expired).toEqual([]);
    await clock.advance(500);
    expect(expired).toEqual([100]);
    expect(clock.pendingTimers).toBe(0);
  });

  it("moves later without a new timer, and expires at the last place", async () => {
    const { clock, expired, deadline } = watch();
    for (let now = 0; now < 250; now += 10) {
      deadline.set(now + 100, now);
      expect(clock.pendingTimers).toBe(1);
      await clock.advance(10);
    }
    await clock.advance(1_000);
    expect(expired).toEqual([340]);
  });

  it("moves earlier", async () => {
    const { clock, expired, deadline } = watch();
    deadline.set(10_000, 0);
    deadline.set(50, 0);
    await clock.advance(20_000);
    expect(expired).toEqual([50]);
  });

  it("never expires at Infinity or after stop, and leaves no timer", async () => {
    const { clock, expired, deadline } = watch();
    deadline.set(50, 0);
    deadline.set(Number.POSITIVE_INFINITY, 0);
    await clock.advance(100);
    deadline.set(200, 100);
    deadline.stop();
    deadline.set(300, 100);
    expect(clock.pendingTimers).toBe(0);
    await clock.advance(1_000);
    expect(expired).toEqual([]);
  });

  it("takes times that are longer than a timer of Node can be", async () => {
    const { clock, expired, deadline } = watch();
    deadline.set(2 ** 32, 0);
    await clock.advance(2 ** 31);
    expect(expired).toEqual([]);
    await clock.advance(2 ** 31);
    expect(expired).toEqual([2 ** 32]);
  });
});
