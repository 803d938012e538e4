import { describe, expect, it } from "vitest";
import type { RateLimitRule } from "../../common/model/rate-limit.ts";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { plainRoute } from "../../test/support/routes.ts";
import { exchangeOf, FilterScene, responseOf } from "./contract.ts";
import { LimiterSet } from "./limiter-set.ts";
import { rateLimit } from "./rate-limit.ts";
import { SharedLimiter } from "./shared-limiter.ts";

const rule: RateLimitRule = {
  name: "default/edge/all",
  key: [],
  requests: 100,
  perMs: 1000,
  burst: 100,
  maxKeys: 10,
  global: true,
};

function limiterOf(change: Partial<RateLimitRule> = {}) {
  const clock = new FakeClock();
  let asked = 0;
  const limiter = new SharedLimiter({ ...rule, ...change }, clock, () => asked++);
  /** How many of `times` requests pass now. */
  const ask = (times: number, key = "") => {
    let passed = 0;
    for (let i = 0; i < times; i++) {
      if (limiter.mayPass(key)) {
        limiter.take(key);
        passed++;
      } else limiter.refused(key);
    }
    return passed;
  };
  const lease = (share: number, tokens = 0, more: { proxies?: number; key?: string; ttlMs?: number } = {}) =>
    limiter.apply(
      {
        rule: rule.name,
        proxies: more.proxies ?? 4,
        otherShare: 0.025,
        keys: [[more.key ?? "", share, tokens]],
      },
      more.ttlMs ?? 5_000,
    );
  return { clock, limiter, ask, lease, asked: () => asked };
}

// covers RateLimit global
describe("a limit that proxies share", () => {
  it("goes by a tenth before it has heard anything", async () => {
    const { ask, clock } = limiterOf();
    expect(ask(50)).toBe(10);
    await clock.advance(1_000);
    expect(ask(50)).toBe(10);
  });

  it("goes by its lease: rate and burst", async () => {
    const { ask, lease, clock } = limiterOf();
    expect(ask(10)).toBe(10);
    lease(0.5);
    // Of the burst it has what it had; the rest comes at the leased rate.
    expect(ask(100)).toBe(0);
    await clock.advance(200);
    expect(ask(100)).toBe(10);
    lease(0.5, 40);
    expect(ask(100)).toBe(40);
    await clock.advance(4_000);
    expect(ask(100)).toBe(50);
  });

  it("gives up what is more than its share when that shrinks", () => {
    const { ask, lease } = limiterOf();
    ask(1);
    lease(1, 100);
    lease(0.2);
    expect(ask(100)).toBe(20);
  });

  it("goes by its even part when the lease has run out, and by leases again when they come back", async () => {
    const { ask, lease, clock, limiter } = limiterOf();
    ask(1);
    lease(0.9, 0, { proxies: 4 });
    await clock.advance(5_000);
    expect([limiter.isLeased, limiter.proxies]).toEqual([false, 4]);
    ask(200);
    await clock.advance(1_000);
    expect(ask(200)).toBe(25);
    lease(0.5);
    ask(200);
    await clock.advance(1_000);
    expect(ask(200)).toBe(50);
  });

  it("lets one request of every key through, however small its share", async () => {
    const { ask, lease, clock } = limiterOf({ requests: 1, perMs: 60_000, burst: 1 });
    lease(0.1, 0, { key: "other" });
    expect(ask(5, "mara")).toBe(1);
    await clock.advance(60_000);
    expect(ask(5, "mara")).toBe(0);
  });

  it("reports what came a second, refused requests too, and keys that went quiet once more", async () => {
    const { ask, lease, clock, limiter } = limiterOf();
    lease(0.1);
    ask(30);
    await clock.advance(1_000);
    expect(limiter.report()).toMatchObject({
      rule: rule.name,
      perSecond: 100,
      burst: 100,
      proxies: 4,
      keys: [["", 30]],
    });
    await clock.advance(1_000);
    expect(limiter.report().keys).toEqual([]);
  });

  it("keeps no more buckets than it may; further keys share one", () => {
    const { ask, limiter } = limiterOf({ requests: 10, burst: 10 });
    let passed = 0;
    for (let i = 0; i < 1_000; i++) passed += ask(1, `key-${i}`);
    expect(limiter.keys).toBeLessThanOrEqual(10);
    expect(passed).toBeLessThanOrEqual(11);
  });
});

describe("the first requests for a key", () => {
  const scene = () => {
    const world = new FilterScene();
    let asked = 0;
    const limiters = new LimiterSet(world.clock, () => asked++);
    const layer = rateLimit.build(plainRoute("it", {}, { rateLimits: [rule] }), {
      ...world.context,
      limiters,
    })!;
    const service = layer(async () => responseOf());
    const [limiter] = limiters.shared;
    limiter!.apply({ rule: rule.name, proxies: 40, otherShare: 0.0025, keys: [] }, 5_000);
    return { world, service, limiter: limiter!, asked: () => asked };
  };

  it("wait for a lease when they are more than the share that everybody has, and then pass", async () => {
    const { service, limiter, asked } = scene();
    expect((await service(exchangeOf())).status).toBe(200);
    const waiting = [service(exchangeOf()), service(exchangeOf())];
    await Promise.resolve();
    expect(asked()).toBe(2);
    limiter.apply({ rule: rule.name, proxies: 40, otherShare: 0.0025, keys: [["", 0.9, 89]] }, 5_000);
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([200, 200]);
  });

  it("are refused when none comes in time, and at once while the control plane is away", async () => {
    const { service, limiter, world } = scene();
    await service(exchangeOf());
    const late = service(exchangeOf());
    await world.clock.advance(250);
    expect((await late).status).toBe(429);
    await world.clock.advance(5_000);
    limiter.stopWaiting();
    const statuses = await Promise.all([1, 2, 3, 4].map(() => service(exchangeOf())));
    expect(statuses.map(({ status }) => status)).toContain(429);
    expect(world.clock.pendingTimers).toBe(0);
  });
});
