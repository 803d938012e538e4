import { describe, expect, it } from "vitest";
import { settle } from "../../test/support/fake-clock.ts";
import { plainRoute } from "../../test/support/routes.ts";
import { Body } from "../http/body.ts";
import type { Exchange } from "../http/exchange.ts";
import type { Service } from "../http/layer.ts";
import { describeFilter, exchangeOf, FilterScene, forwardRoute, responseOf } from "./contract.ts";
import { timeout } from "./timeout.ts";

const route = forwardRoute({ timeoutMs: 1000 });
describeFilter(timeout, route);

const never: Service = (exchange) => new Promise((_resolve, reject) => exchange.whenCancelled(reject));

/** Runs until the request fails; resolves to the time and error code. */
function outcome(scene: FilterScene, exchange: Exchange, next: Service = never) {
  const seen: { at: number; code: string } = { at: -1, code: "" };
  scene
    .wrap(
      timeout,
      route,
      next,
    )(exchange)
    .catch((error) => {
      seen.at = scene.clock.monotonic();
      seen.code = error.code;
    });
  return seen;
}

describe("timeout", () => {
  it("is off without a time-out, and for routes that do not forward", () => {
    const { context } = new FilterScene();
    expect(timeout.build(plainRoute("a"), context)).toBeUndefined();
    expect(timeout.build(forwardRoute({ timeoutMs: 0 }), context)).toBeUndefined();
  });

  it("gives the request up in time", async () => {
    const scene = new FilterScene();
    const seen = outcome(scene, exchangeOf());
    await scene.clock.advance(999);
    expect(seen.code).toBe("");
    await scene.clock.advance(1);
    expect(seen).toEqual({ at: 1000, code: "request_timeout" });
  });

  it("counts the response body until the exchange is finished", async () => {
    const scene = new FilterScene();
    const exchange = exchangeOf();
    const response = await scene.wrap(timeout, route, async () => responseOf())(exchange);
    let cut = "";
    exchange.whenCancelled((cause) => {
      cut = cause.code;
    });
    expect(response.status).toBe(200);
    await scene.clock.advance(1000);
    expect(cut).toBe("request_timeout");
  });

  it("starts when the request is complete", async () => {
    const scene = new FilterScene();
    const exchange = exchangeOf({ method: "POST", body: new Body(undefined) });
    const seen = outcome(scene, exchange);
    await scene.clock.advance(600);
    exchange.bytesReceived = 10;
    exchange.requestCompleteAt = scene.clock.monotonic();
    await scene.clock.advance(999);
    expect(seen.code).toBe("");
    await scene.clock.advance(1);
    expect(seen).toEqual({ at: 1600, code: "request_timeout" });
  });

  it("does not cut an upload that makes progress, but one that stands still", async () => {
    const scene = new FilterScene();
    const exchange = exchangeOf({ method: "POST", body: new Body(undefined) });
    const seen = outcome(scene, exchange);
    for (let i = 1; i <= 5; i++) {
      exchange.bytesReceived = i;
      await scene.clock.advance(1000);
    }
    expect(seen.code).toBe("");
    await scene.clock.advance(1000);
    expect(seen.code).toBe("request_timeout");
  });

  it("times an upgrade up to its answer only", async () => {
    const scene = new FilterScene();
    const hanging = exchangeOf({ upgrade: "websocket", body: new Body(undefined) });
    const seen = outcome(scene, hanging);
    const open = exchangeOf({ upgrade: "websocket", body: new Body(undefined) });
    await scene.wrap(timeout, route, async () => responseOf(101))(open);
    await settle();
    await scene.clock.advance(5000);
    expect(seen.code).toBe("request_timeout");
    expect(open.cancelCause).toBeUndefined();
  });
});
