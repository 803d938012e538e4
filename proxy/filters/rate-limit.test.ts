import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RateLimitRule } from "../../common/model/rate-limit.ts";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { plainRoute } from "../../test/support/routes.ts";
import type { Exchange } from "../http/exchange.ts";
import { describeFilter, exchangeOf, FilterScene, responseOf, textOf } from "./contract.ts";
import { Limiter } from "./limiter.ts";
import { LimiterSet } from "./limiter-set.ts";
import { rateLimit } from "./rate-limit.ts";

const rule: RateLimitRule = {
  name: "default/edge/per-user",
  key: [{ kind: "header", name: "end-user" }],
  requests: 2,
  perMs: 1000,
  burst: 4,
  maxKeys: 3,
};

describeFilter(rateLimit, plainRoute("a", {}, { rateLimits: [rule] }));

describe("rate limit", () => {
  it("is off without rules", () => {
    expect(rateLimit.build(plainRoute("a"), new FilterScene().context)).toBeUndefined();
  });

  // covers RateLimit rules[].limit.requests, rules[].limit.per, rules[].limit.burst
  it("lets a burst through, then as many as the rate allows, per key", async () => {
    const { ask, clock } = sceneOf([rule]);
    const statuses = async (user: string, times: number) => {
      const seen: number[] = [];
      for (let i = 0; i < times; i++) seen.push((await ask(user)).status);
      return seen;
    };
    expect(await statuses("mara", 5)).toEqual([200, 200, 200, 200, 429]);
    expect(await statuses("jonas", 1)).toEqual([200]);
    await clock.advance(500);
    expect(await statuses("mara", 2)).toEqual([200, 429]);
    await clock.advance(60_000);
    expect(await statuses("mara", 5)).toEqual([200, 200, 200, 200, 429]);
  });

  it("says what is left and when to come again, in the fields of the draft", async () => {
    const { ask } = sceneOf([rule]);
    const first = await ask("mara");
    expect(first.headers.get("ratelimit-policy")).toBe('"default/edge/per-user";q=4;w=2');
    expect(first.headers.get("ratelimit")).toBe('"default/edge/per-user";r=3;t=1');
    expect(first.headers.has("retry-after")).toBe(false);
    for (let i = 0; i < 3; i++) await ask("mara");
    const exchange = userOf("mara");
    const refused = await ask(exchange);
    expect([refused.status, exchange.flags, exchange.detail]).toEqual([429, "RL", "local_rate_limited"]);
    expect(refused.headers.get("retry-after")).toBe("1");
    expect(refused.headers.get("ratelimit")).toBe('"default/edge/per-user";r=0;t=2');
    expect(refused.headers.get("x-envoy-ratelimited")).toBe("true");
    expect(await textOf(refused.body)).toContain("rate_limited");
  });

  // covers RateLimit rules[].key[].attribute
  it("tells callers apart by the identity that they proved, and all that proved none share a bucket", async () => {
    const clock = new FakeClock();
    const limiter = new Limiter({ ...rule, key: [{ kind: "source-identity" }] }, clock);
    const from = (spiffeId?: string) => {
      const exchange = exchangeOf();
      const peer = { spiffeId } as NonNullable<Exchange["downstream"]["peer"]>;
      Object.assign(exchange, {
        downstream: { ...exchange.downstream, ...(spiffeId === undefined ? {} : { peer }) },
      });
      return limiter.keyOf(exchange);
    };
    const web = "spiffe://cluster.local/ns/shop/sa/web";
    expect([from(web), from(), from()]).toEqual([web, "", ""]);
  });

  it("answers a gRPC call as gRPC does", async () => {
    const { ask } = sceneOf([{ ...rule, burst: 1 }]);
    const grpc = () => exchangeOf({ method: "POST", headers: ["content-type", "application/grpc"] });
    await ask(grpc());
    const refused = await ask(grpc());
    expect([refused.status, refused.headers.get("grpc-status")]).toEqual([200, "8"]);
  });

  it("takes no token from one rule when another refuses, and tells of the tightest", async () => {
    const all: RateLimitRule = { ...rule, name: "all", key: [], burst: 2 };
    const { ask, limiters } = sceneOf([rule, all]);
    expect((await ask("mara")).headers.get("ratelimit")).toBe('"all";r=1;t=1');
    await ask("mara");
    expect((await ask("mara")).status).toBe(429);
    expect([...limiters].map(({ allowed, limited }) => [allowed, limited])).toEqual([
      [2, 0],
      [2, 1],
    ]);
  });

  // covers RateLimit rules[].maxKeys
  it("gives keys beyond the bound one bucket together, until one of the others is full again", async () => {
    const { ask, clock, limiters } = sceneOf([{ ...rule, burst: 1 }]);
    for (const user of ["a", "b", "c", "d"]) expect((await ask(user)).status).toBe(200);
    expect((await ask("e")).status).toBe(429);
    expect([...limiters][0]!.keys).toBe(3);
    await clock.advance(500);
    for (const user of ["e", "f", "g"]) expect((await ask(user)).status).toBe(200);
    expect([...limiters][0]!.keys).toBe(3);
  });

  // covers RateLimit rules[].key[].attribute
  it.each([
    [{ kind: "query", name: "tenant" }, { path: "/a?tenant=x" }, "x"],
    [{ kind: "path" }, { path: "/a?tenant=x" }, "/a"],
    [{ kind: "method" }, {}, "GET"],
    [{ kind: "host" }, { authority: "Reviews:9080" }, "reviews:9080"],
    [{ kind: "source-address" }, {}, "10.0.0.1"],
    [{ kind: "source-workload" }, {}, ""],
  ] as const)("reads %j of a request", (part, init, key) => {
    const limiter = new Limiter({ ...rule, key: [part] }, new FakeClock());
    expect(limiter.keyOf(exchangeOf(init))).toBe(key);
  });

  it("keeps keys short and combinations apart", () => {
    const two = {
      ...rule,
      key: [{ kind: "header", name: "a" } as const, { kind: "header", name: "b" } as const],
    };
    const limiter = new Limiter(two, new FakeClock());
    const key = (a: string, b: string) => limiter.keyOf(exchangeOf({ headers: ["a", a, "b", b] }));
    expect(key("x,", "y")).not.toBe(key("x", ",y"));
    expect(key("x".repeat(10_000), "y").length).toBeLessThan(128);
  });

  it("never lets more through in any time than burst and rate allow", () => {
    const step = fc.record({
      afterMs: fc.integer({ min: 0, max: 700 }),
      count: fc.integer({ min: 1, max: 5 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        let now = 0;
        const clock = { ...new FakeClock(), monotonic: () => now } as unknown as FakeClock;
        const limiter = new Limiter({ ...rule, key: [] }, clock);
        const passed: number[] = [];
        for (const { afterMs, count } of steps) {
          now += afterMs;
          for (let i = 0; i < count; i++) {
            if (!limiter.mayPass("")) continue;
            limiter.take("");
            passed.push(now);
          }
        }
        for (const [first, from] of passed.entries()) {
          for (const [offset, at] of passed.slice(first).entries())
            expect(offset + 1).toBeLessThanOrEqual(
              rule.burst + ((at - from) * rule.requests) / rule.perMs + 1e-6,
            );
        }
      }),
    );
  });
});

describe("the rate limits of a proxy", () => {
  it("are shared by routes with the same rule and begin anew with another", () => {
    const set = new LimiterSet(new FakeClock());
    const limiter = set.obtain(rule);
    expect(set.obtain({ ...rule })).toBe(limiter);
    expect(set.obtain({ ...rule, burst: 9 })).not.toBe(limiter);
    set.forgetUnless(() => false);
    expect([...set]).toEqual([]);
  });
});

function userOf(user: string): Exchange {
  return exchangeOf({ headers: ["End-User", user] });
}

function sceneOf(rateLimits: readonly RateLimitRule[]) {
  const scene = new FilterScene();
  const limiters = new LimiterSet(scene.clock);
  const layer = rateLimit.build(plainRoute("a", {}, { rateLimits }), { ...scene.context, limiters })!;
  const service = layer(async () => responseOf(200, "hello"));
  return {
    clock: scene.clock,
    limiters,
    ask: (who: string | Exchange) => service(typeof who === "string" ? userOf(who) : who),
  };
}
