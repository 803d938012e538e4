import { describe, expect, it } from "vitest";
import { seededRandom } from "../../common/base/random.ts";
import type { FaultPolicy } from "../../common/model/route.ts";
import { settle } from "../../test/support/fake-clock.ts";
import { plainRoute } from "../../test/support/routes.ts";
import { meshError } from "../errors.ts";
import { describeFilter, exchangeOf, FilterScene, responseOf, textOf } from "./contract.ts";
import { fault } from "./fault.ts";

function faulty(policy: FaultPolicy) {
  return plainRoute("it", {}, { fault: policy });
}

describeFilter(fault, faulty({ abort: { fraction: 0, httpStatus: 503 } }));

describe("fault", () => {
  it("is off without a policy", () => {
    expect(fault.build(plainRoute("a"), new FilterScene().context)).toBeUndefined();
    expect(fault.build(faulty({}), new FilterScene().context)).toBeUndefined();
  });

  it("delays, then forwards", async () => {
    const scene = new FilterScene();
    const exchange = exchangeOf();
    let forwardedAt = -1;
    const route = faulty({ delay: { fraction: 1, kind: "fixed", ms: 2000 } });
    const answer = scene.wrap(fault, route, async () => {
      forwardedAt = scene.clock.monotonic();
      return responseOf();
    })(exchange);
    await scene.clock.advance(2000);
    expect((await answer).status).toBe(200);
    expect(forwardedAt).toBe(2000);
    expect(exchange.flags).toBe("DI");
  });

  it("stops a delay when the client goes away", async () => {
    const scene = new FilterScene();
    const exchange = exchangeOf();
    const route = faulty({ delay: { fraction: 1, kind: "fixed", ms: 2000 } });
    const answer = scene.wrap(fault, route, async () => responseOf())(exchange);
    await settle();
    const cause = meshError("downstream_closed");
    exchange.cancel(cause);
    await expect(answer).rejects.toBe(cause);
    expect(scene.clock.pendingTimers).toBe(0);
  });

  it("delays by an exponential distribution with the mean that was asked for", async () => {
    const scene = new FilterScene(seededRandom(3));
    const route = faulty({ delay: { fraction: 1, kind: "exponential", ms: 100 } });
    const delays: number[] = [];
    for (let i = 0; i < 2000; i++) {
      void scene
        .wrap(fault, route, async () => responseOf())(exchangeOf())
        .then(() => delays.push(scene.clock.monotonic()));
    }
    for (let at = 0; at < 2000; at += 20) await scene.clock.advance(20);
    const mean = delays.reduce((sum, delay) => sum + delay, 0) / delays.length;
    expect(delays.length).toBe(2000);
    expect(mean).toBeGreaterThan(90);
    expect(mean).toBeLessThan(110);
    expect(delays.filter((delay) => delay < 100).length / 2000).toBeCloseTo(1 - 1 / Math.E, 1);
  });

  it("aborts with the status, and says so", async () => {
    const scene = new FilterScene();
    const exchange = exchangeOf();
    const never = () => Promise.reject(new Error("forwarded"));
    const answer = await scene.wrap(
      fault,
      faulty({ abort: { fraction: 1, httpStatus: 418 } }),
      never,
    )(exchange);
    expect(answer.status).toBe(418);
    expect(await textOf(answer.body)).toBe("fault filter abort");
    expect(answer.headers.get("content-length")).toBe("18");
    expect([exchange.flags, exchange.detail]).toEqual(["FI", "fault_filter_abort"]);
  });

  it.each([
    [{ grpcStatus: "NOT_FOUND" }, "application/grpc", 200, "5"],
    [{ httpStatus: 503 }, "application/grpc+proto", 200, "14"],
    [{ grpcStatus: "NOT_FOUND" }, "application/json", 404, undefined],
    [{ grpcStatus: "NOT_FOUND" }, "application/grpc-web", 404, undefined],
  ])("translates %j for a request of type %s", async (abort, type, status, grpcStatus) => {
    const scene = new FilterScene();
    const exchange = exchangeOf({ method: "POST", headers: ["Content-Type", type] });
    const route = faulty({ abort: { fraction: 1, ...abort } });
    const answer = await scene.wrap(fault, route, async () => responseOf())(exchange);
    expect([answer.status, answer.headers.get("grpc-status")]).toEqual([status, grpcStatus]);
  });

  it("rolls for delay and abort apart", async () => {
    const scene = new FilterScene(seededRandom(5));
    const route = faulty({
      delay: { fraction: 0.5, kind: "fixed", ms: 10 },
      abort: { fraction: 0.1, httpStatus: 500 },
    });
    const service = scene.wrap(fault, route, async () => responseOf());
    const flags = new Map<string, number>();
    const all = Array.from({ length: 10_000 }, async () => {
      const exchange = exchangeOf();
      await service(exchange);
      flags.set(exchange.flags, (flags.get(exchange.flags) ?? 0) + 1);
    });
    await scene.clock.advance(10);
    await Promise.all(all);
    const share = (flag: string) => (flags.get(flag) ?? 0) / 10_000;
    expect(share("DI")).toBeCloseTo(0.45, 1);
    expect(share("DI,FI")).toBeCloseTo(0.05, 1);
    expect(share("FI")).toBeCloseTo(0.05, 1);
    expect(Math.abs(share("FI") + share("DI,FI") - 0.1)).toBeLessThan(0.01);
  });
});
