import { describe, expect, it } from "vitest";
import type { RetryPolicy } from "../../common/model/route.ts";
import { settle } from "../../test/support/fake-clock.ts";
import { plainRoute } from "../../test/support/routes.ts";
import type { ErrorCode } from "../errors.ts";
import { meshError } from "../errors.ts";
import { Body } from "../http/body.ts";
import type { Exchange, Response } from "../http/exchange.ts";
import type { Service } from "../http/layer.ts";
import { describeFilter, exchangeOf, FilterScene, forwardRoute, responseOf, textOf } from "./contract.ts";
import { retry } from "./retry.ts";

const plain: RetryPolicy = { attempts: 2, on: [], statusCodes: [], baseIntervalMs: 25, maxIntervalMs: 250 };

function retrying(policy: Partial<RetryPolicy>) {
  return forwardRoute({ retry: { ...plain, ...policy } });
}

describeFilter(retry, forwardRoute({}));
describeFilter(
  { ...retry, name: "retry with time-out per try" },
  retrying({ on: ["5xx"], perTryTimeoutMs: 100 }),
);

type Step = ErrorCode | number | ((exchange: Exchange) => Response | Promise<Response>);

/** An upstream that takes one step per attempt, reading the request body first unless the step is an error before it was sent. */
function upstream(...steps: Step[]) {
  const bodies: string[] = [];
  const service: Service = async (exchange) => {
    const step = steps[Math.min(bodies.length, steps.length - 1)]!;
    if (typeof step === "string" && meshError(step).entry.retry) {
      bodies.push("unsent");
      throw meshError(step);
    }
    bodies.push(await textOf(exchange.body));
    if (typeof step === "string") throw meshError(step);
    return typeof step === "number" ? responseOf(step, `answer ${bodies.length}`) : step(exchange);
  };
  return { bodies, service };
}

interface Given {
  policy?: Partial<RetryPolicy>;
  exchange?: Exchange;
  steps: Step[];
}

async function run({ policy, exchange = exchangeOf(), steps }: Given) {
  const scene = new FilterScene();
  const { bodies, service } = upstream(...steps);
  const route = policy === undefined ? forwardRoute({}) : retrying(policy);
  const answer = scene
    .wrap(
      retry,
      route,
      service,
    )(exchange)
    .then(
      (response) => response.status,
      (error) => error.code,
    );
  await scene.clock.advance(10_000);
  const outcome = await answer;
  expect(scene.clock.pendingTimers).toBe(0);
  return { outcome, attempts: bodies.length, bodies, flags: exchange.flags, reasons: scene.retried };
}

const post = (text = "hello", headers: string[] = []) =>
  exchangeOf({ method: "POST", headers, body: Body.of(Buffer.from(text)) });

describe("retry without a policy", () => {
  it("is on, and off for 0 attempts or a route that does not forward", () => {
    const { context } = new FilterScene();
    expect(retry.build(plainRoute("a"), context)).toBeDefined();
    expect(retry.build(retrying({ attempts: 0 }), context)).toBeUndefined();
    const action = { kind: "direct-response", status: 200, body: new Uint8Array() } as const;
    expect(retry.build(plainRoute("a", {}, { action }), context)).toBeUndefined();
  });

  it.each(["connect_refused", "connect_timeout", "connect_failed", "reset_before_request"] as const)(
    "tries twice more after %s, any method",
    async (code) => {
      expect(await run({ steps: [code, code, 200], exchange: post() })).toMatchObject({
        outcome: 200,
        bodies: ["unsent", "unsent", "hello"],
        flags: "",
      });
      expect(await run({ steps: [code] })).toMatchObject({ outcome: code, attempts: 3, flags: "URX" });
    },
  );

  it.each([503, "upstream_reset", "upstream_protocol_error", "request_timeout", "bad_request"] as const)(
    "does not try again after %s",
    async (step) => {
      expect(await run({ steps: [step] })).toMatchObject({ outcome: step, attempts: 1, flags: "" });
    },
  );
});

describe("retry by policy", () => {
  it.each([
    ["5xx", 500, "5xx"],
    ["5xx", "upstream_reset", "5xx"],
    ["5xx", "connect_refused", "5xx"],
    ["gateway-error", 503, "gateway-error"],
    ["gateway-error", 500, undefined],
    ["gateway-error", "upstream_protocol_error", "gateway-error"],
    ["reset", "upstream_reset", "reset"],
    ["reset", 503, undefined],
    ["reset-before-request", "reset_before_request", "reset-before-request"],
    ["reset-before-request", "upstream_reset", undefined],
    ["refused-stream", "reset_before_request", "refused-stream"],
    ["connect-failure", "connect_timeout", "connect-failure"],
    ["connect-failure", "reset_before_request", undefined],
    ["retriable-4xx", 409, "retriable-4xx"],
    ["retriable-4xx", 404, undefined],
    ["retriable-status-codes", 418, "retriable-status-codes"],
    ["retriable-status-codes", 503, undefined],
    ["5xx", "upstream_overflow", undefined],
    ["5xx", "request_timeout", undefined],
    ["nonsense", 503, undefined],
  ] as const)("on %s after %s: %s", async (word, step, reason) => {
    const policy = { on: [word], statusCodes: [418], attempts: 1 };
    const { reasons, outcome } = await run({ policy, steps: [step, 200] });
    expect(reasons).toEqual(reason === undefined ? [] : [reason]);
    expect(outcome).toBe(reason === undefined ? step : 200);
  });

  it("retries a gRPC call by the status in its header section", async () => {
    const unavailable = () => responseOf(200, "", ["grpc-status", "14"]);
    const exchange = () => post("call", ["content-type", "application/grpc"]);
    const policy = { on: ["unavailable"] };
    expect(await run({ policy, exchange: exchange(), steps: [unavailable, 200] })).toMatchObject({
      bodies: ["call", "call"],
      reasons: ["unavailable"],
    });
    const other = await run({
      policy: { on: ["cancelled"] },
      exchange: exchange(),
      steps: [unavailable, 200],
    });
    expect(other.attempts).toBe(1);
  });

  it("sends a body again for an idempotent method", async () => {
    const exchange = exchangeOf({ method: "PUT", body: Body.of(Buffer.from("hello")) });
    const result = await run({ policy: { on: ["5xx"] }, exchange, steps: [503, "upstream_reset", 200] });
    expect(result).toMatchObject({ outcome: 200, bodies: ["hello", "hello", "hello"] });
  });

  it("does not repeat a POST that was sent, unless it has an Idempotency-Key", async () => {
    const policy = { on: ["5xx"] };
    for (const step of [503, "upstream_reset"] as const) {
      expect(await run({ policy, exchange: post(), steps: [step, 200] })).toMatchObject({ attempts: 1 });
      const keyed = post("hello", ["Idempotency-Key", "1"]);
      expect(await run({ policy, exchange: keyed, steps: [step, 200] })).toMatchObject({ outcome: 200 });
    }
    expect(await run({ policy, exchange: post(), steps: ["connect_refused", 200] })).toMatchObject({
      outcome: 200,
      bodies: ["unsent", "hello"],
    });
  });

  it("does not repeat what it could not keep", async () => {
    const big = exchangeOf({ method: "PUT", body: Body.of(Buffer.alloc(64 * 1024 + 1)) });
    expect(await run({ policy: { on: ["5xx"] }, exchange: big, steps: [503, 200] })).toMatchObject({
      outcome: 503,
      attempts: 1,
      flags: "",
    });
    const body = new Body(undefined);
    body.push(Buffer.alloc(64 * 1024 + 1));
    body.end();
    const unknown = exchangeOf({ method: "PUT", body });
    expect(await run({ policy: { on: ["5xx"] }, exchange: unknown, steps: [503, 200] })).toMatchObject({
      attempts: 1,
    });
  });

  it("hands on the last answer with URX, and cancels those before", async () => {
    const cancelled: boolean[] = [];
    const step = () => {
      const body = new Body(undefined);
      const index = cancelled.push(false) - 1;
      body.onCancel = () => {
        cancelled[index] = true;
      };
      return { ...responseOf(503), body };
    };
    const result = await run({ policy: { on: ["5xx"] }, steps: [step] });
    expect(result).toMatchObject({ outcome: 503, attempts: 3, flags: "URX" });
    expect(cancelled).toEqual([true, true, false]);
  });
});

describe("retry in time", () => {
  it("waits longer each time, within its ceiling", async () => {
    const scene = new FilterScene(() => 0.999);
    const at: number[] = [];
    const service: Service = () => {
      at.push(scene.clock.monotonic());
      return Promise.reject(meshError("connect_refused"));
    };
    const answer = scene.wrap(
      retry,
      retrying({ attempts: 5, on: ["connect-failure"] }),
      service,
    )(exchangeOf());
    const refused = expect(answer).rejects.toMatchObject({ code: "connect_refused" });
    await scene.clock.advance(5000);
    await refused;
    const waits = at.slice(1).map((time, index) => time - at[index]!);
    expect(waits).toEqual([24, 74, 174, 249, 249]);
  });

  it("ends an attempt that takes too long, and the next may succeed", async () => {
    const scene = new FilterScene();
    const stopped: string[] = [];
    let attempts = 0;
    const service: Service = (exchange) => {
      if (++attempts === 2) return Promise.resolve(responseOf(200));
      return new Promise((_resolve, reject) =>
        exchange.whenCancelled((cause) => {
          stopped.push(cause.code);
          reject(cause);
        }),
      );
    };
    const exchange = exchangeOf();
    const answer = scene.wrap(retry, retrying({ on: ["5xx"], perTryTimeoutMs: 100 }), service)(exchange);
    await scene.clock.advance(1000);
    expect((await answer).status).toBe(200);
    expect(stopped).toEqual(["per_try_timeout"]);
    expect(exchange.cancelCause).toBeUndefined();
    expect(scene.clock.pendingTimers).toBe(0);
  });

  describe("a per-try idle time-out", () => {
    const idle = () => retrying({ on: ["5xx"], perTryIdleTimeoutMs: 100 });

    it("gives up an attempt in which nothing comes, and tries again", async () => {
      const scene = new FilterScene();
      let attempts = 0;
      const service: Service = (given) => {
        attempts++;
        if (attempts > 1) return Promise.resolve(responseOf());
        return new Promise((_resolve, reject) => given.whenCancelled(reject));
      };
      const answer = scene.wrap(retry, idle(), service)(exchangeOf());
      await scene.clock.advance(1000);
      expect([(await answer).status, attempts]).toEqual([200, 2]);
      expect(scene.clock.pendingTimers).toBe(0);
    });

    it("lets an upload take as long as it moves", async () => {
      const scene = new FilterScene();
      const exchange = exchangeOf({ method: "POST", body: new Body(undefined) });
      const { promise, resolve } = Promise.withResolvers<Response>();
      const answer = scene.wrap(retry, idle(), () => promise)(exchange);
      for (let turn = 0; turn < 5; turn++) {
        exchange.bytesReceived += 10;
        await scene.clock.advance(90);
      }
      resolve(responseOf());
      expect((await answer).status).toBe(200);
    });

    it("breaks off a response that stands still, and leaves one alone that moves or that the client does not read", async () => {
      const scene = new FilterScene();
      const body = new Body(undefined);
      const answer = await scene.wrap(retry, idle(), async () => ({ ...responseOf(), body }))(exchangeOf());
      await scene.clock.advance(500);
      const heard: string[] = [];
      let wantsMore = true;
      answer.body.pipe({
        data: (chunk) => {
          heard.push(chunk.toString());
          return wantsMore;
        },
        end: () => heard.push("end"),
        fail: ({ detail }) => heard.push(detail),
      });
      for (let turn = 0; turn < 3; turn++) {
        body.push(Buffer.from("x"));
        await scene.clock.advance(90);
      }
      wantsMore = false;
      body.push(Buffer.from("y"));
      await scene.clock.advance(1_000);
      expect(heard).toEqual(["x", "x", "x", "y"]);
      answer.body.resume();
      await scene.clock.advance(100);
      expect(heard.at(-1)).toBe("per_try_idle_timeout");
      expect(scene.clock.pendingTimers).toBe(0);
    });
  });

  it("stops when the client goes away during the back-off", async () => {
    const scene = new FilterScene();
    const { bodies, service } = upstream("connect_refused");
    const exchange = exchangeOf();
    const answer = scene.wrap(retry, forwardRoute({}), service)(exchange);
    await settle();
    const cause = meshError("downstream_closed");
    exchange.cancel(cause);
    await expect(answer).rejects.toBe(cause);
    expect(bodies.length).toBe(1);
    expect(scene.clock.pendingTimers).toBe(0);
  });
});

describe("retry budget", () => {
  it("lets no more than a fifth of the active requests be retries", async () => {
    const scene = new FilterScene();
    let attempts = 0;
    const service: Service = async () => {
      attempts++;
      await new Promise<void>((resolve) => scene.clock.after(10, resolve));
      return responseOf(503);
    };
    const wrapped = scene.wrap(retry, retrying({ attempts: 1, on: ["5xx"] }), service);
    const answers = Array.from({ length: 100 }, () => wrapped(exchangeOf()));
    await scene.clock.advance(1000);
    await Promise.all(answers);
    expect(attempts).toBeGreaterThan(100);
    expect(attempts).toBeLessThanOrEqual(120);
    // All of it is given back: some time later three requests alone may each be retried again.
    await scene.clock.advance(60_000);
    attempts = 0;
    const later = Array.from({ length: 3 }, () => wrapped(exchangeOf()));
    await scene.clock.advance(1000);
    await Promise.all(later);
    expect(attempts).toBe(6);
  });
});
