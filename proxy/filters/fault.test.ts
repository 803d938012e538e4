import { describe, expect, it } from "vitest";
import { seededRandom } from "../../common/base/random.ts";
import type { FaultPolicy } from "../../common/model/route.ts";
import { settle } from "../../test/support/fake-clock.ts";
import { plainRoute } from "../../test/support/routes.ts";
import { meshError } from "../errors.ts";
import { ActiveFaults } from "./active-faults.ts";
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

// covers Fault delay.fromHeader, delay.percentage, abort.fromHeader, abort.percentage, responseBandwidth.fromHeader
describe("faults that a request asks for", () => {
  const asking = (...headers: string[]) => exchangeOf({ headers });
  const onRequest = faulty({
    delay: { fraction: 1, kind: "header" },
    abort: { fraction: 1, fromHeader: true },
    responseLimit: { fraction: 1 },
  });

  it("are nobody's where the route does not allow them", async () => {
    const scene = new FilterScene();
    const route = faulty({ abort: { fraction: 0, httpStatus: 503 } });
    const exchange = asking("x-envoy-fault-abort-request", "418", "x-envoy-fault-delay-request", "1000");
    const answer = await scene.wrap(fault, route, async () => responseOf())(exchange);
    expect([answer.status, exchange.flags]).toEqual([200, ""]);
  });

  it("do nothing to requests that ask for none, or for what cannot be", async () => {
    const scene = new FilterScene();
    const service = scene.wrap(fault, onRequest, async () => responseOf());
    for (const value of ["", "199", "600", "-1", "5e2", "2147483648000", "418, 500"]) {
      const exchange = asking("x-envoy-fault-abort-request", value);
      expect((await service(exchange)).status, value).toBe(200);
      expect(exchange.flags, value).toBe("");
    }
  });

  it("abort with the status asked for; an HTTP status comes before a gRPC status", async () => {
    const scene = new FilterScene();
    const service = scene.wrap(fault, onRequest, async () => responseOf());
    expect((await service(asking("X-Envoy-Fault-Abort-Request", "418"))).status).toBe(418);
    const grpc = await service(
      asking("content-type", "application/grpc", "x-envoy-fault-abort-grpc-request", "8"),
    );
    expect([grpc.status, grpc.headers.get("grpc-status")]).toEqual([200, "8"]);
    const both = asking("x-envoy-fault-abort-request", "503", "x-envoy-fault-abort-grpc-request", "8");
    expect((await service(both)).status).toBe(503);
  });

  it("delay by the milliseconds asked for", async () => {
    const scene = new FilterScene();
    const exchange = asking("x-envoy-fault-delay-request", "700");
    let forwardedAt = -1;
    const answer = scene.wrap(fault, onRequest, async () => {
      forwardedAt = scene.clock.monotonic();
      return responseOf();
    })(exchange);
    await scene.clock.advance(700);
    await answer;
    expect([forwardedAt, exchange.flags]).toEqual([700, "DI"]);
  });

  it("never reach a larger share than the route allows", async () => {
    const count = async (most: number, ...headers: string[]) => {
      const scene = new FilterScene(seededRandom(7));
      const route = faulty({ abort: { fraction: most, fromHeader: true } });
      const service = scene.wrap(fault, route, async () => responseOf());
      let aborted = 0;
      for (let i = 0; i < 1000; i++) {
        const answer = await service(asking("x-envoy-fault-abort-request", "503", ...headers));
        if (answer.status === 503) aborted++;
      }
      return aborted;
    };
    const percentage = "x-envoy-fault-abort-request-percentage";
    expect(await count(0.2)).toBeCloseTo(200, -2);
    expect(await count(0.2, percentage, "100")).toBeLessThan(260);
    expect(await count(1, percentage, "10")).toBeLessThan(150);
    expect(await count(1, percentage, "0")).toBe(0);
  });
});

// covers Fault responseBandwidth.kibPerSecond, responseBandwidth.percentage
describe("a response limit", () => {
  it("lets an answer trickle, whole and in order", async () => {
    const scene = new FilterScene();
    const route = faulty({ responseLimit: { fraction: 1, kibPerSecond: 16 } });
    const text = Array.from({ length: 4096 }, (_, index) => String(index % 10))
      .join("")
      .repeat(4);
    const exchange = exchangeOf();
    const answer = await scene.wrap(fault, route, async () => responseOf(200, text))(exchange);
    const received: string[] = [];
    let isOver = false;
    answer.body.pipe({
      data: (chunk) => received.push(chunk.toString()) > 0,
      end: () => {
        isOver = true;
      },
      fail: () => {},
    });
    await scene.clock.advance(500);
    expect(received.join("").length).toBeGreaterThanOrEqual(7 * 1024);
    expect(received.join("").length).toBeLessThanOrEqual(10 * 1024);
    expect(isOver).toBe(false);
    await scene.clock.advance(600);
    expect(isOver).toBe(true);
    expect(received.join("")).toBe(text);
    expect(scene.clock.pendingTimers).toBe(0);
  });

  it("ends with the client", async () => {
    const scene = new FilterScene();
    const route = faulty({ responseLimit: { fraction: 1, kibPerSecond: 1 } });
    const inner = responseOf(200, "x".repeat(10_000));
    const answer = await scene.wrap(fault, route, async () => inner)(exchangeOf());
    answer.body.cancel(meshError("downstream_closed"));
    expect(scene.clock.pendingTimers).toBe(0);
  });
});

// covers Fault maxActive
describe("the bound of active faults", () => {
  it("spares requests while so many have one, and counts both", async () => {
    const faults = new ActiveFaults();
    const scene = new FilterScene();
    const route = faulty({ delay: { fraction: 1, kind: "fixed", ms: 1000 }, maxActive: 2 });
    const layer = fault.build(route, { ...scene.context, faults })!;
    const service = layer(async () => responseOf());
    const exchanges = [exchangeOf(), exchangeOf(), exchangeOf()];
    const answers = exchanges.map((exchange) => service(exchange));
    expect(exchanges.map(({ flags }) => flags)).toEqual(["DI", "DI", ""]);
    expect([faults.active, faults.overflowed, faults.injected.delay]).toEqual([2, 1, 2]);
    await scene.clock.advance(1000);
    await Promise.all(answers);
    for (const exchange of exchanges) exchange.finish(1);
    expect(faults.active).toBe(0);
  });
});
