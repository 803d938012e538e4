import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatDuration, maxDurationMs, parseDuration } from "./duration.ts";

describe("parseDuration", () => {
  it.each([
    ["5s", 5000],
    ["1h30m", 5_400_000],
    ["1.5s", 1500],
    ["100ms", 100],
    ["0s", 0],
    ["0", 0],
    [".5s", 500],
    ["1.s", 1000],
    ["1000us", 1],
    ["2000000ns", 2],
    ["1.1h", 3_960_000],
    ["0.001s", 1],
    ["1m1m", 120_000],
    ["+5s", 5000],
  ])("it reads %s as %i ms", (text, ms) => {
    expect(parseDuration(text)).toEqual({ ok: true, ms });
  });

  it.each([
    ["5", /no unit/],
    ["1.5", /no unit/],
    ["-1s", /negative/],
    ["1e9h", /not a duration/],
    ["", /not a duration/],
    ["s", /not a duration/],
    [".s", /not a duration/],
    ["5 s", /not a duration/],
    ["5s ", /not a duration/],
    ["5d", /not a duration/],
    ["1s-1s", /not a duration/],
    ["Infinity", /not a duration/],
    ["597h", /too long/],
    ["99999999999999999999999h", /too long/],
    ["1us", /whole number of milliseconds/],
    ["1.0005s", /whole number of milliseconds/],
  ])("it refuses %j", (text, why) => {
    const parsed = parseDuration(text);
    expect(parsed.ok).toBe(false);
    expect(parsed).toHaveProperty("why", expect.stringMatching(why));
  });

  it("reads back what formatDuration writes", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: maxDurationMs }), (ms) => {
        expect(parseDuration(formatDuration(ms))).toEqual({ ok: true, ms });
      }),
    );
  });

  it("writes the largest units first", () => {
    expect([0, 100, 1500, 90_000, 5_400_000].map(formatDuration)).toEqual([
      "0s",
      "100ms",
      "1.5s",
      "1m30s",
      "1h30m",
    ]);
  });
});
