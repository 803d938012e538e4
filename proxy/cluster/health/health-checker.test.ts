import { beforeEach, describe, expect, it } from "vitest";
import { seededRandom } from "../../../common/base/random.ts";
import type { HealthCheck } from "../../../common/model/health-check.ts";
import { FakeClock } from "../../../test/support/fake-clock.ts";
import type { HealthChange } from "./health-checker.ts";
import { HealthChecker } from "./health-checker.ts";
import { HealthRecord } from "./health-record.ts";
import type { ProbeResult, Prober } from "./probe.ts";

/** An endpoint that answers what a test wants; `undefined`: nothing, until it is given up. */
class Subject {
  readonly name: string;
  readonly health = new HealthRecord();
  answer: ProbeResult | undefined = { isWell: true };
  /** Monotonic ms at which it was asked. */
  readonly askedAt: number[] = [];
  closed = 0;

  constructor(name: string) {
    this.name = name;
  }

  get isEligible(): boolean {
    return this.health.isWell;
  }
}

const check: HealthCheck = {
  probe: { kind: "tcp", receive: [] },
  intervalMs: 10_000,
  noTrafficIntervalMs: 60_000,
  intervalJitterMs: 0,
  intervalJitterPercent: 0,
  initialJitterMs: 0,
  timeoutMs: 1_000,
  healthyThreshold: 2,
  unhealthyThreshold: 3,
  reusesConnection: true,
  minHealthPercent: 50,
};
const failed = (why: string, atOnce = false): ProbeResult => ({ isWell: false, why, atOnce });

let clock: FakeClock;
let isCalled: boolean;
let changes: string[];

beforeEach(() => {
  clock = new FakeClock();
  isCalled = true;
  changes = [];
});

function checker(change: Partial<HealthCheck> = {}): HealthChecker<Subject> {
  return new HealthChecker<Subject>(
    { ...check, ...change },
    {
      clock,
      random: seededRandom(1),
      prober: (subject): Prober => ({
        ask: () => {
          subject.askedAt.push(clock.monotonic());
          return subject.answer === undefined ? new Promise(() => {}) : Promise.resolve(subject.answer);
        },
        close: () => subject.closed++,
      }),
      wasCalled: () => isCalled,
      onChange: ({ endpoint, isWell, why }: HealthChange<Subject>) =>
        changes.push(`${endpoint.name} ${isWell ? "well" : why}`),
      onSuccess: () => {},
    },
  );
}

describe("a health checker", () => {
  it("takes an endpoint out after so many failures in a row, and back after so many successes", async () => {
    const subject = new Subject("a");
    checker().watch([subject]);
    await clock.advance(0);
    expect(subject.health.isChecked).toBe(true);
    subject.answer = failed("status 500");
    await clock.advance(20_000);
    expect(subject.health.isWell).toBe(true);
    await clock.advance(10_000);
    expect(changes).toEqual(["a status 500"]);
    subject.answer = { isWell: true };
    await clock.advance(10_000);
    expect(subject.health.isWell).toBe(false);
    await clock.advance(10_000);
    expect(changes).toEqual(["a status 500", "a well"]);
    expect(subject.health.lastFailure).toBe("");
  });

  it("counts again from the beginning when an endpoint passes in between", async () => {
    const subject = new Subject("a");
    checker().watch([subject]);
    for (const answer of [failed("x"), failed("x"), { isWell: true } as const, failed("x"), failed("x")]) {
      await clock.advance(0);
      subject.answer = answer;
      await clock.advance(10_000);
    }
    expect(changes).toEqual([]);
  });

  it("believes the first check, and a status that no list names, at once", async () => {
    const [a, b] = [new Subject("a"), new Subject("b")];
    a.answer = failed("connect_refused");
    checker().watch([a, b]);
    await clock.advance(0);
    expect(changes).toEqual(["a connect_refused"]);
    b.answer = failed("status 404", true);
    await clock.advance(10_000);
    expect(changes).toEqual(["a connect_refused", "b status 404"]);
  });

  it("lets those who come first serve until a check says otherwise, and who joins them wait for a check", async () => {
    const [a, b] = [new Subject("a"), new Subject("b")];
    const health = checker();
    health.watch([a]);
    expect(a.isEligible).toBe(true);
    await clock.advance(0);
    b.answer = undefined;
    health.watch([a, b]);
    expect([a.isEligible, b.isEligible, b.health.isChecked]).toEqual([true, false, false]);
    await clock.advance(0);
    b.answer = { isWell: true };
    await clock.advance(11_000);
    expect([b.isEligible, b.health.lastFailure]).toEqual([false, "timeout"]);
    await clock.advance(10_000);
    expect(changes).toEqual(["b well"]);
  });

  it("lets those serve who come when nobody is left", async () => {
    const [a, b] = [new Subject("a"), new Subject("b")];
    const health = checker();
    a.answer = failed("x");
    health.watch([a]);
    await clock.advance(0);
    b.answer = undefined;
    health.watch([a, b]);
    expect([a.isEligible, b.isEligible]).toEqual([false, true]);
  });

  it("gives up a check that has no answer in time, and asks again an interval later", async () => {
    const subject = new Subject("a");
    subject.answer = undefined;
    const health = checker();
    health.watch([subject]);
    await clock.advance(999);
    expect(subject.closed).toBe(0);
    await clock.advance(1);
    expect([subject.closed, changes]).toEqual([1, ["a timeout"]]);
    await clock.advance(10_000);
    expect(subject.askedAt).toEqual([0, 11_000]);
    expect([health.attempts, health.successes, health.failures]).toEqual([2, 0, 1]);
  });

  it("asks seldom while nobody calls the cluster, and sick ones in their own rhythm", async () => {
    isCalled = false;
    const subject = new Subject("a");
    checker({ unhealthyIntervalMs: 2_000 }).watch([subject]);
    await clock.advance(100_000);
    expect(subject.askedAt).toEqual([0, 60_000]);
    isCalled = true;
    subject.answer = failed("x", true);
    await clock.advance(10_000);
    expect(subject.askedAt.at(-1)).toBe(110_000);
    await clock.advance(4_000);
    expect(subject.askedAt.slice(-3)).toEqual([110_000, 112_000, 114_000]);
  });

  it("spreads the checks of many endpoints over the jitter, the first ones too", async () => {
    const subjects = Array.from({ length: 1_000 }, (_, index) => new Subject(`${index}`));
    checker({ initialJitterMs: 1_000, intervalJitterMs: 5_000 }).watch(subjects);
    await clock.advance(1_000);
    const perTenth = (from: number, length: number, round: number) => {
      const counts = new Array<number>(10).fill(0);
      for (const { askedAt } of subjects)
        counts[Math.min(9, Math.floor((10 * (askedAt[round]! - from)) / length))]!++;
      return counts;
    };
    expect(Math.max(...perTenth(0, 1_000, 0))).toBeLessThan(140);
    await clock.advance(16_000);
    expect(Math.max(...perTenth(10_000, 6_000, 1))).toBeLessThan(220);
    const [first] = subjects;
    expect(first!.askedAt[1]! - first!.askedAt[0]!).toBeGreaterThanOrEqual(10_000);
  });

  it("leaves no timer and hears no answer after its end, and calls everybody well when checks are over", async () => {
    const [a, b] = [new Subject("a"), new Subject("b")];
    a.answer = failed("x");
    b.answer = undefined;
    const health = checker();
    health.watch([a, b]);
    await clock.advance(0);
    health.watch([a]);
    expect(clock.pendingTimers).toBe(1);
    health.stop(true);
    await clock.advance(100_000);
    expect([clock.pendingTimers, a.health.isWell, b.closed, changes]).toEqual([0, true, 1, ["a x"]]);
  });
});
