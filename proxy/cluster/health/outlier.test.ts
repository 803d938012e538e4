import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { OutlierDetection } from "../../../common/model/outlier-detection.ts";
import { defaultOutlierDetection } from "../../../common/model/outlier-detection.ts";
import { FakeClock } from "../../../test/support/fake-clock.ts";
import { OutlierDetector, OutlierRecord } from "./outlier.ts";

function scene(policy: Partial<OutlierDetection> = {}, hosts = 10) {
  const clock = new FakeClock();
  const records = Array.from({ length: hosts }, () => new OutlierRecord());
  let changes = 0;
  const full = { ...defaultOutlierDetection, maxEjectionPercent: 100, ...policy };
  const detector = new OutlierDetector(full, { clock, records: () => records, onChange: () => changes++ });
  const answers = (record: OutlierRecord, ...statuses: number[]) => {
    for (const status of statuses) detector.answered(record, status);
  };
  return { clock, records, detector, answers, full, changes: () => changes, ejected: () => detector.ejected };
}

describe("outlier detection", () => {
  // covers DestinationRule trafficPolicy.outlierDetection.consecutive5xxErrors
  it("ejects after five failures in a row, by default; a success in between begins anew", () => {
    const { records, answers, changes } = scene();
    const [one] = records;
    answers(one!, 500, 503, 500, 500, 200, 500, 500, 500, 500);
    expect([one!.isEjected, changes()]).toEqual([false, 0]);
    answers(one!, 599);
    expect([one!.isEjected, changes()]).toEqual([true, 1]);
  });

  // covers DestinationRule trafficPolicy.outlierDetection.consecutiveGatewayErrors
  it("counts 502, 503 and 504 apart when asked, and nothing of what is off", () => {
    const { records, answers } = scene({ consecutive5xx: 0, consecutiveGatewayErrors: 2 });
    answers(records[0]!, 500, 500, 500, 500, 500, 500, 502, 500, 503, 200, 504);
    expect(records[0]!.isEjected).toBe(false);
    answers(records[0]!, 502);
    expect(records[0]!.isEjected).toBe(true);
  });

  // covers DestinationRule trafficPolicy.outlierDetection.splitExternalLocalOriginErrors, trafficPolicy.outlierDetection.consecutiveLocalOriginFailures
  it("counts failures without an answer as 503 or 504, or for themselves with the split", () => {
    const joined = scene({ consecutive5xx: 0, consecutiveGatewayErrors: 3 });
    joined.detector.failed(joined.records[0]!, 503);
    joined.detector.failed(joined.records[0]!, 504);
    joined.answers(joined.records[0]!, 502);
    expect(joined.records[0]!.isEjected).toBe(true);

    const split = scene({ consecutive5xx: 2, splitLocalOrigin: true, consecutiveLocalOriginFailures: 3 });
    const [one, two] = split.records;
    for (let i = 0; i < 2; i++) split.detector.failed(one!, 503);
    split.answers(one!, 500);
    for (let i = 0; i < 2; i++) split.detector.failed(one!, 503);
    expect(one!.isEjected).toBe(false);
    split.detector.failed(one!, 503);
    expect(one!.isEjected).toBe(true);
    split.answers(two!, 500, 500);
    expect(two!.isEjected).toBe(true);
  });

  // covers DestinationRule trafficPolicy.outlierDetection.maxEjectionPercent
  it("ejects one always, and no more than the share allowed", () => {
    const { records, answers, ejected } = scene({ maxEjectionPercent: 10, consecutive5xx: 1 }, 5);
    for (const record of records) answers(record, 500);
    expect(ejected()).toBe(1);
    const many = scene({ maxEjectionPercent: 30, consecutive5xx: 1 }, 10);
    for (const record of many.records) many.answers(record, 500);
    expect(many.ejected()).toBe(3);
  });

  // covers DestinationRule trafficPolicy.outlierDetection.baseEjectionTime, trafficPolicy.outlierDetection.interval
  it("lets it come back after the base time, later each time, sooner again after good conduct", async () => {
    const { clock, records, answers } = scene({ consecutive5xx: 1, intervalMs: 1000, baseEjectionMs: 3000 });
    const one = records[0]!;
    const backAfter = async () => {
      answers(one, 500);
      const from = clock.monotonic();
      while (one.isEjected) await clock.advance(500);
      return clock.monotonic() - from;
    };
    expect(await backAfter()).toBe(3000);
    expect(await backAfter()).toBe(6000);
    expect(await backAfter()).toBe(9000);
    await clock.advance(3000);
    expect(one.ejections).toBe(0);
    expect(clock.pendingTimers).toBe(0);
    expect(await backAfter()).toBe(3000);
  });

  it("keeps none away for more than five minutes", async () => {
    const { clock, records, answers } = scene({ consecutive5xx: 1, baseEjectionMs: 200_000 });
    for (const expected of [200_000, 300_000, 300_000]) {
      answers(records[0]!, 500);
      await clock.advance(expected - 10_000);
      expect(records[0]!.isEjected).toBe(true);
      await clock.advance(10_000);
      expect(records[0]!.isEjected).toBe(false);
    }
  });

  it("brings all back when it is turned off, and keeps its ejections when the numbers change", async () => {
    const { clock, records, answers, detector, full, ejected } = scene({ consecutive5xx: 1 });
    answers(records[0]!, 500);
    answers(records[1]!, 500);
    detector.policy = { ...full, intervalMs: 100, baseEjectionMs: 200 };
    expect(ejected()).toBe(2);
    await clock.advance(200);
    expect(ejected()).toBe(0);
    answers(records[0]!, 500);
    detector.stop();
    expect([ejected(), clock.pendingTimers, detector.ejections]).toEqual([0, 0, 3]);
  });

  it("never ejects more than allowed, never forgets anybody, whatever happens", async () => {
    const event = fc.record({
      host: fc.nat({ max: 7 }),
      what: fc.constantFrom(200, 404, 500, 503, "failed", "time"),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(event, { maxLength: 200 }),
        fc.integer({ min: 0, max: 100 }),
        async (events, share) => {
          const policy = {
            maxEjectionPercent: share,
            consecutive5xx: 2,
            intervalMs: 100,
            baseEjectionMs: 300,
          };
          const { clock, records, detector, ejected } = scene(policy, 8);
          for (const { host, what } of events) {
            if (what === "time") await clock.advance(100);
            else if (what === "failed") detector.failed(records[host]!, 503);
            else detector.answered(records[host]!, Number(what));
            expect(ejected()).toBeLessThanOrEqual(Math.max(1, Math.floor((8 * share) / 100)));
          }
          await clock.advance(300 * 200 + 100);
          expect([ejected(), clock.pendingTimers]).toEqual([0, 0]);
        },
      ),
      { numRuns: 30 },
    );
  });
});
