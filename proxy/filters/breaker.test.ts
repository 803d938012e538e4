import { describe, expect, it } from "vitest";
import type { CircuitBreakerPolicy } from "../../common/model/circuit-breaker.ts";
import type { ForwardAction, Route } from "../../common/model/route.ts";
import { settle } from "../../test/support/fake-clock.ts";
import { plainRoute } from "../../test/support/routes.ts";
import { meshError } from "../errors.ts";
import { Body } from "../http/body.ts";
import type { Exchange, Response } from "../http/exchange.ts";
import type { Service } from "../http/layer.ts";
import { breaker } from "./breaker.ts";
import type { Circuit } from "./circuit.ts";
import { CircuitSet } from "./circuit-set.ts";
import { describeFilter, exchangeOf, FilterScene, responseOf, textOf } from "./contract.ts";
import type { Filter } from "./filter.ts";

const policy: CircuitBreakerPolicy = {
  name: "default/review",
  errorRate: 0.5,
  volumeThreshold: 4,
  windowMs: 10_000,
  resetMs: 5_000,
  probes: 1,
  errors: ["5xx", "connect-failure", "reset", "timeout"],
};

/** The split hands a destination to the filters after it; here the route's only one. */
const afterSplit: Filter = {
  name: breaker.name,
  build: (route, context) =>
    breaker.build(route, { ...context, destination: (route.action as ForwardAction).destinations[0]! }),
};

describeFilter(afterSplit, routeWith(policy));

describe("breaker", () => {
  it("is off where no CircuitBreaker holds", () => {
    expect(afterSplit.build(plainRoute("a"), new FilterScene().context)).toBeUndefined();
  });

  // covers CircuitBreaker errorRate, volumeThreshold
  it("opens at the error rate once the volume is there, and then calls nobody", async () => {
    const { call, circuit, calls } = sceneOf();
    expect([await call(500), await call(200), await call(500)]).toEqual(["500", "200", "500"]);
    expect(circuit.state).toBe("closed");
    expect(await call(503)).toBe("503");
    expect(circuit.state).toBe("open");
    expect(await call(200)).toBe("circuit_open");
    expect([calls(), circuit.shortCircuited]).toEqual([4, 1]);
  });

  // covers CircuitBreaker rollingWindow
  it("stays closed below the rate, and forgets what left the window", async () => {
    const { call, circuit, clock } = sceneOf();
    for (const status of [500, 200, 200, 200, 500, 200]) await call(status);
    expect(circuit.state).toBe("closed");
    await clock.advance(11_000);
    for (const status of [500, 500, 500]) await call(status);
    expect(circuit.state).toBe("closed");
    await call(500);
    expect(circuit.state).toBe("open");
  });

  // covers CircuitBreaker resetTimeout
  it("probes after the reset time, closes on success and starts counting anew", async () => {
    const { call, circuit, clock } = sceneOf();
    for (let i = 0; i < 4; i++) await call(500);
    await clock.advance(4_999);
    expect([circuit.state, await call(200)]).toEqual(["open", "circuit_open"]);
    await clock.advance(1);
    expect([circuit.state, await call(200), circuit.state]).toEqual(["half-open", "200", "closed"]);
    for (let i = 0; i < 3; i++) await call(500);
    expect(circuit.state).toBe("closed");
    expect(circuit.transitions).toEqual({ open: 1, "half-open": 1, closed: 1 });
  });

  it("opens anew for the whole reset time when the probe fails", async () => {
    const { call, circuit, clock } = sceneOf();
    for (let i = 0; i < 4; i++) await call(500);
    await clock.advance(5_000);
    expect([await call(500), circuit.state, await call(200)]).toEqual(["500", "open", "circuit_open"]);
    await clock.advance(4_999);
    expect(await call(200)).toBe("circuit_open");
    await clock.advance(1);
    expect([await call(200), circuit.state]).toEqual(["200", "closed"]);
  });

  // covers CircuitBreaker halfOpenProbes
  it("lets no more probes through than asked and needs all of them", async () => {
    const { call, hold, circuit, clock } = sceneOf({ probes: 2 });
    for (let i = 0; i < 4; i++) await call(500);
    await clock.advance(5_000);
    const [first, second] = [hold(), hold()];
    expect(await call(200)).toBe("circuit_open");
    first.answer(200);
    await first.done;
    expect([circuit.state, await call(200)]).toEqual(["half-open", "circuit_open"]);
    second.answer(200);
    await second.done;
    expect(circuit.state).toBe("closed");
  });

  it("takes a probe whose client went away for none", async () => {
    const { call, hold, circuit, clock } = sceneOf();
    for (let i = 0; i < 4; i++) await call(500);
    await clock.advance(5_000);
    const probe = hold();
    probe.fail("downstream_closed");
    await probe.done;
    expect(circuit.state).toBe("half-open");
    expect([await call(200), circuit.state]).toEqual(["200", "closed"]);
  });

  // covers CircuitBreaker slowCallRate, slowCallDuration
  it("opens on slow calls that succeed, and a slow probe does not close it", async () => {
    const { hold, call, circuit, clock } = sceneOf({ slowCalls: { rate: 0.5, durationMs: 1000 } });
    const slow = Array.from({ length: 4 }, () => hold());
    await clock.advance(1000);
    for (const held of slow) held.answer(200);
    await Promise.all(slow.map(({ done }) => done));
    expect(circuit.state).toBe("open");
    await clock.advance(5_000);
    const probe = hold();
    await clock.advance(1000);
    probe.answer(200);
    expect(await probe.done).toBe("200");
    expect(circuit.state).toBe("open");
    await clock.advance(5_000);
    expect([await call(200), circuit.state]).toEqual(["200", "closed"]);
  });

  it.each([
    ["connect_refused", "open"],
    ["no_healthy_upstream", "open"],
    ["upstream_reset", "open"],
    ["request_timeout", "open"],
    ["downstream_closed", "closed"],
    ["upstream_overflow", "closed"],
    ["bad_request", "closed"],
  ] as const)("after calls that ended with %s it is %s", async (code, state) => {
    const { hold, circuit } = sceneOf();
    for (let i = 0; i < 4; i++) {
      const held = hold();
      held.fail(code);
      expect(await held.done).toBe(code);
    }
    expect(circuit.state).toBe(state);
  });

  it("reads a gRPC status in the header section, and only the statuses that it was told", async () => {
    const grpc = sceneOf();
    for (let i = 0; i < 4; i++) await grpc.call(200, ["grpc-status", "14"]);
    expect(grpc.circuit.state).toBe("open");
    const busy = sceneOf({ errors: ["429"] });
    for (let i = 0; i < 4; i++) await busy.call(500);
    expect(busy.circuit.state).toBe("closed");
    for (let i = 0; i < 4; i++) await busy.call(429);
    expect(busy.circuit.state).toBe("open");
  });
});

describe("breaker with a fallback", () => {
  const direct = {
    kind: "direct-response" as const,
    status: 200,
    body: '{"error":"review not available"}',
    headers: [["content-type", "application/json"] as const],
  };

  it("answers failed calls and those held back, and says why in the flags", async () => {
    const { send, circuit, clock } = sceneOf({ fallback: direct });
    const failed = exchangeOf();
    const response = await send(failed, () => Promise.reject(meshError("connect_refused")));
    expect([response.status, response.headers.get("content-type"), await textOf(response.body)]).toEqual([
      200,
      "application/json",
      direct.body,
    ]);
    expect([failed.flags, failed.detail]).toEqual(["UF", "circuit_breaker_fallback"]);
    for (let i = 0; i < 3; i++) await send(exchangeOf(), async () => responseOf(500));
    expect(circuit.state).toBe("open");
    const held = exchangeOf();
    expect((await send(held, async () => responseOf(500))).status).toBe(200);
    expect([held.flags, circuit.fallbacks, clock.pendingTimers]).toEqual(["UO", 5, 0]);
  });

  it("lets the body of the failed answer go", async () => {
    const { send } = sceneOf({ fallback: direct });
    const body = new Body(undefined);
    let isCancelled = false;
    body.onCancel = () => {
      isCancelled = true;
    };
    await send(exchangeOf(), async () => ({ ...responseOf(500), body }));
    expect(isCancelled).toBe(true);
  });

  it("goes to another service while the request's body is whole", async () => {
    const { scene, send } = sceneOf({ fallback: { kind: "destination", destination: "other" } });
    scene.upstream("other", async (exchange) => responseOf(200, await textOf(exchange.body)));
    const bad: Service = async () => responseOf(500, "bad");
    expect((await send(exchangeOf(), bad)).status).toBe(200);
    const whole = exchangeOf({ method: "POST", body: Body.of(Buffer.from("order")) });
    expect(await textOf((await send(whole, bad)).body)).toBe("order");
    const spent = exchangeOf({ method: "POST", body: Body.of(Buffer.from("order")) });
    const reading: Service = async (exchange) => {
      await textOf(exchange.body);
      return responseOf(500, "bad");
    };
    expect(await textOf((await send(spent, reading)).body)).toBe("bad");
  });

  // covers CircuitBreaker fallback.lastGoodResponse.maxAge, fallback.lastGoodResponse.vary[]
  it("answers with the last good response and its age, to the same user only", async () => {
    const lastGood = {
      kind: "last-good-response" as const,
      maxAgeMs: 60_000,
      maxBytes: 10_000,
      vary: ["x-user"],
    };
    const { send, clock } = sceneOf({ fallback: lastGood });
    const ask = (user: string, next: Service) =>
      send(exchangeOf({ path: "/1", headers: ["x-user", user] }), next);
    const good = await ask("mara", async () => responseOf(200, "stars", ["content-length", "5"]));
    expect(await textOf(good.body)).toBe("stars");
    await clock.advance(7_500);
    const bad: Service = async () => responseOf(503, "bad");
    const old = await ask("mara", bad);
    expect([old.status, old.headers.get("age"), await textOf(old.body)]).toEqual([200, "7", "stars"]);
    expect((await ask("jonas", bad)).status).toBe(503);
    await clock.advance(60_000);
    expect((await ask("mara", bad)).status).toBeGreaterThanOrEqual(503);
  });
});

describe("the circuits of a proxy", () => {
  it("are kept by CircuitBreaker and cluster, and replaced with their policy", () => {
    const set = new CircuitSet(new FilterScene().clock);
    const circuit = set.obtain(policy, "a");
    expect(set.obtain({ ...policy }, "a")).toBe(circuit);
    expect(set.obtain(policy, "b")).not.toBe(circuit);
    expect(set.obtain({ ...policy, errorRate: 0.1 }, "a")).not.toBe(circuit);
    set.forgetUnless((_name, cluster) => cluster === "b");
    expect([...set].map(({ cluster }) => cluster)).toEqual(["b"]);
    set.stop();
  });
});

describe("a breaker of gRPC calls", () => {
  const streamed = async (scene: ReturnType<typeof sceneOf>, grpcStatus: string | undefined) => {
    const exchange = exchangeOf({ method: "POST", headers: ["content-type", "application/grpc"] });
    const body = new Body(undefined);
    const answered = scene.send(exchange, async () => ({ ...responseOf(), body }));
    const answer = await answered;
    exchange.grpcStatus = grpcStatus;
    exchange.finish(1);
    await settle();
    return answer.status;
  };

  it("hands the answer on at once and judges the call by its trailers", async () => {
    const scene = sceneOf();
    for (const status of ["0", "0", "14"]) expect(await streamed(scene, status)).toBe(200);
    expect(scene.circuit.state).toBe("closed");
    expect(await streamed(scene, "13")).toBe(200);
    expect(scene.circuit.state).toBe("open");
    expect(scene.clock.pendingTimers).toBe(0);
  });

  it("takes what the caller did wrong, and what broke off, for no failure", async () => {
    const scene = sceneOf();
    for (const status of ["5", "3", undefined, "16", "1"]) await streamed(scene, status);
    expect(scene.circuit.state).toBe("closed");
  });

  it("counts a stream that outlives the window as answered", async () => {
    const scene = sceneOf({ volumeThreshold: 1 });
    const exchange = exchangeOf({ method: "POST", headers: ["content-type", "application/grpc"] });
    await scene.send(exchange, async () => ({ ...responseOf(), body: new Body(undefined) }));
    await scene.clock.advance(policy.windowMs);
    exchange.grpcStatus = "14";
    exchange.finish(1);
    await settle();
    expect(scene.circuit.state).toBe("closed");
    expect(scene.clock.pendingTimers).toBe(0);
  });
});

function routeWith(breakerPolicy: CircuitBreakerPolicy): Route {
  const plain = plainRoute("review");
  const action = plain.action as ForwardAction;
  const destinations = action.destinations.map((entry) => ({ ...entry, breaker: breakerPolicy }));
  return { ...plain, action: { ...action, destinations } };
}

function sceneOf(change: Partial<CircuitBreakerPolicy> = {}) {
  const scene = new FilterScene();
  const circuits = new CircuitSet(scene.clock);
  const own = { ...policy, ...change };
  const route = routeWith(own);
  let current: Service = async () => responseOf();
  let count = 0;
  const layer = afterSplit.build(route, { ...scene.context, circuits })!;
  const service = layer((exchange) => {
    count++;
    return current(exchange);
  });
  const circuit: Circuit = [...circuits][0]!;
  const send = (exchange: Exchange, next: Service): Promise<Response> => {
    current = next;
    return service(exchange);
  };
  const outcome = (answered: Promise<Response>): Promise<string> =>
    answered.then(
      ({ status }) => String(status),
      (error: { code: string }) => error.code,
    );
  return {
    scene,
    clock: scene.clock,
    circuit,
    send,
    calls: () => count,
    call: async (status: number, fields: readonly string[] = []) => {
      const got = await outcome(send(exchangeOf(), async () => responseOf(status, "", fields)));
      await settle();
      return got;
    },
    /** A call under way until it is told how to end. */
    hold: () => {
      const { promise, resolve, reject } = Promise.withResolvers<Response>();
      const done = outcome(send(exchangeOf(), () => promise));
      return {
        done,
        answer: (status: number) => resolve(responseOf(status)),
        fail: (code: Parameters<typeof meshError>[0]) => reject(meshError(code)),
      };
    },
  };
}
