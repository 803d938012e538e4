import { describe, expect, it } from "vitest";
import type { RetryPolicy } from "../../common/model/route.ts";
import type { ErrorCode } from "../errors.ts";
import { meshError } from "../errors.ts";
import type { Response } from "../http/exchange.ts";
import type { Service } from "../http/layer.ts";
import { exchangeOf, FilterScene, forwardRoute, responseOf } from "./contract.ts";
import { NestedRetries } from "./nested-retries.ts";
import { retry } from "./retry.ts";

const policy: RetryPolicy = {
  attempts: 2,
  on: ["5xx"],
  statusCodes: [],
  baseIntervalMs: 25,
  maxIntervalMs: 250,
};

/** The sidecar of a workload: what it sends goes through `outbound`, what comes to it through `inbound`. */
function sidecar() {
  const scene = new FilterScene();
  const retries = new NestedRetries();
  const layer = (direction: "inbound" | "outbound", route = forwardRoute({ retry: policy })) =>
    retry.build(route, { ...scene.context, nested: { direction, retries } })!;
  const send = async (service: Service, headers: string[]) => {
    const exchange = exchangeOf({ headers });
    return service(exchange).finally(() => exchange.finish(1));
  };
  const outbound = async (headers: string[], result: (attempt: number) => Response | ErrorCode) => {
    const marks: (string | undefined)[] = [];
    const service: Service = async (exchange) => {
      marks.push(exchange.headers.get("x-weft-attempt"));
      const given = result(marks.length);
      if (typeof given === "string") throw meshError(given);
      return given;
    };
    const answer = send(layer("outbound")(service), headers);
    answer.catch(() => {});
    await scene.clock.advance(60_000);
    return { marks, answer };
  };
  const inbound = (headers: string[], app: Service) =>
    send(retries.readAttempt(layer("inbound", forwardRoute({}))(app)), headers);
  return { inbound, outbound };
}

const id = ["x-request-id", "1"];

describe("nested retries", () => {
  it("mark what is sent again with the number of the attempt", async () => {
    const { outbound } = sidecar();
    expect((await outbound(id, () => responseOf(503))).marks).toEqual([undefined, "2", "3"]);
  });

  // covers VirtualService http[].retries.attempts
  it("show no verdict to the first client, also where the route retries nothing, and tell the hop further up", async () => {
    const scene = new FilterScene();
    const retries = new NestedRetries();
    const route = forwardRoute({ retry: { ...policy, attempts: 0 } });
    const build = (direction: "inbound" | "outbound") =>
      retry.build(route, { ...scene.context, nested: { direction, retries } })!;
    const failed = async () => responseOf(503, "", ["x-weft-retry", "no"]);
    const answer = await build("outbound")(failed)(exchangeOf({ headers: id }));
    expect([answer.status, answer.headers.has("x-weft-retry")]).toEqual([503, false]);
    const above = await build("inbound")(async () => responseOf(500))(exchangeOf({ headers: id }));
    expect(above.headers.get("x-weft-retry")).toBe("no");
    expect(retry.build(route, scene.context)).toBeUndefined();
  });

  it("are left to the hop that retries already, but for what was never sent", async () => {
    const { inbound, outbound } = sidecar();
    const seen: unknown[] = [];
    await inbound([...id, "x-weft-attempt", "2"], async (exchange) => {
      seen.push(exchange.headers.has("x-weft-attempt"));
      const results: (ErrorCode | 503)[] = [503, "connect_refused", "upstream_reset"];
      for (const result of results) {
        const { marks } = await outbound(id, () => (result === 503 ? responseOf(503) : result));
        seen.push(marks.length);
      }
      seen.push((await outbound(["x-request-id", "other"], () => responseOf(503))).marks.length);
      return responseOf(200);
    });
    expect(seen).toEqual([false, 1, 3, 1, 3]);
    // It is over: the same id stands for nothing any more.
    expect((await outbound(id, () => responseOf(503))).marks).toHaveLength(3);
  });

  it("are not made of a failure that somebody further down retried in vain", async () => {
    const { inbound, outbound } = sidecar();
    const answer = await inbound(id, async () => {
      await outbound(id, () => responseOf(503));
      return responseOf(500);
    });
    expect(answer.headers.get("x-weft-retry")).toBe("no");
    const up = sidecar();
    const passedOn = await up.inbound(id, async () => {
      const { marks, answer } = await up.outbound(id, () => responseOf(500, "", ["x-weft-retry", "no"]));
      expect(marks).toHaveLength(1);
      expect((await answer).headers.has("x-weft-retry")).toBe(false);
      return responseOf(500);
    });
    expect(passedOn.headers.get("x-weft-retry")).toBe("no");
  });

  it("are made of a workload's own failure, and of another request's", async () => {
    const { inbound, outbound } = sidecar();
    await outbound(["x-request-id", "other"], () => responseOf(503));
    const answer = await inbound(id, async () => {
      await outbound(id, (attempt) => responseOf(attempt === 1 ? 503 : 200));
      return responseOf(500);
    });
    expect(answer.headers.has("x-weft-retry")).toBe(false);
  });
});

describe("a retry", () => {
  it("waits for a Retry-After of up to five seconds, and leaves a longer one to the client", async () => {
    const attemptsWith = async (value: string) =>
      (await sidecar().outbound([], () => responseOf(503, "", ["retry-after", value]))).marks.length;
    expect(await attemptsWith("1")).toBe(3);
    expect(await attemptsWith("6")).toBe(1);
    expect(await attemptsWith("Thu, 01 Jan 2026 00:00:02 GMT")).toBe(3);
    expect(await attemptsWith("Thu, 01 Jan 2026 00:10:00 GMT")).toBe(1);
    expect(await attemptsWith("soon")).toBe(3);
  });

  it("is not made of an answer that says there is too much already", async () => {
    const { marks } = await sidecar().outbound([], () => responseOf(503, "", ["x-envoy-overloaded", "true"]));
    expect(marks).toHaveLength(1);
  });
});
