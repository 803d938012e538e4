import { describe, expect, it } from "vitest";
import type { Cluster } from "../../common/model/cluster.ts";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { RetryBudgets } from "./retry-budget.ts";

type Limits = Pick<Cluster, "connectionPool" | "retryBudget">;

/** So many requests begin, each tries so many retries and stays under way; answers with the retries that were allowed. */
function run(
  limits: Limits | undefined,
  requests: number,
  options: { isUnsent?: boolean; ends?: boolean } = {},
) {
  const budget = new RetryBudgets(new FakeClock(), () => limits).of("c");
  let allowed = 0;
  for (let i = 0; i < requests; i++) {
    budget.begin();
    const isAllowed = budget.tryRetry(true, options.isUnsent ?? false);
    if (isAllowed) allowed++;
    if (options.ends) budget.finish(isAllowed);
  }
  return allowed;
}

describe("a retry budget", () => {
  // covers DestinationRule trafficPolicy.retryBudget.percent, trafficPolicy.retryBudget.minRetryConcurrency
  it("is a fifth of the requests, and three at least, unless the cluster says otherwise", () => {
    expect(run(undefined, 1000)).toBe(200);
    expect(run(undefined, 4)).toBe(3);
    expect(run({ retryBudget: { fraction: 0.5, minConcurrency: 0 } }, 1000)).toBe(500);
    expect(run({ retryBudget: { fraction: 0, minConcurrency: 0 } }, 1000)).toBe(0);
  });

  // covers DestinationRule trafficPolicy.retryBudget.budgetInterval
  it("counts the requests of its interval as under way too, when it has one", async () => {
    const clock = new FakeClock();
    const retryBudget = { fraction: 0.2, minConcurrency: 1, intervalMs: 2_000 };
    const budget = new RetryBudgets(clock, () => ({ retryBudget })).of("c");
    const quick = () => {
      budget.begin();
      budget.finish(false);
    };
    const retrying = () => {
      budget.begin();
      return budget.tryRetry(true, false);
    };
    for (let i = 0; i < 20; i++) quick();
    // A fifth of twenty and of themselves, though nothing else is under way.
    const allowed = Array.from({ length: 6 }, () => retrying());
    expect(allowed).toEqual([true, true, true, true, true, false]);
    await clock.advance(60_000);
    for (const isRetry of allowed) budget.finish(isRetry);
    expect([retrying(), retrying()]).toEqual([true, false]);
  });

  it("bounds retries that come one after the other too, but not of what was never sent", () => {
    expect(run(undefined, 1000, { ends: true })).toBe(200);
    expect(run(undefined, 1000, { isUnsent: true })).toBe(1000);
    const retryBudget = { fraction: 0.1, minConcurrency: 0 };
    expect(run({ retryBudget }, 1000, { isUnsent: true })).toBe(100);
    expect(
      run({ retryBudget: { ...retryBudget, minConcurrency: 1 } }, 1000, { ends: true, isUnsent: true }),
    ).toBe(1000);
  });

  // covers DestinationRule trafficPolicy.connectionPool.http.maxRetries
  it("is a fixed number at a time with maxRetries, which a budget overrules", () => {
    const connectionPool = { maxRetries: 5 };
    expect(run({ connectionPool }, 1000)).toBe(5);
    expect(run({ connectionPool }, 1000, { ends: true })).toBe(1000);
    expect(run({ connectionPool, retryBudget: { fraction: 0.1, minConcurrency: 0 } }, 1000)).toBe(100);
  });

  it("is one for all routes to a cluster, and forgets what is long over", async () => {
    const clock = new FakeClock();
    const budgets = new RetryBudgets(clock, () => undefined);
    expect(budgets.of("c")).toBe(budgets.of("c"));
    const budget = budgets.of("c");
    const one = () => {
      budget.begin();
      const isAllowed = budget.tryRetry(true, false);
      budget.finish(isAllowed);
      return isAllowed;
    };
    expect([one(), one(), one(), one()]).toEqual([true, true, true, false]);
    await clock.advance(20_000);
    expect([one(), one(), one(), one()]).toEqual([true, true, true, false]);
  });

  it("takes the rate of a long quiet time, not its sum", async () => {
    const clock = new FakeClock();
    const budget = new RetryBudgets(clock, () => undefined).of("c");
    for (let second = 0; second < 100; second++) {
      for (let i = 0; i < 100; i++) budget.begin();
      for (let i = 0; i < 100; i++) budget.finish(false);
      await clock.advance(1_000);
    }
    let allowed = 0;
    for (let i = 0; i < 1000; i++) {
      budget.begin();
      if (budget.tryRetry(true, false)) {
        allowed++;
        budget.finish(true);
      }
    }
    expect(allowed).toBeLessThanOrEqual(0.2 * (5 * 100 + 1000));
  });
});
