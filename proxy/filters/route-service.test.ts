import { describe, expect, it } from "vitest";
import { seededRandom } from "../../common/base/random.ts";
import type { Route, RouteAction, WeightedDestination } from "../../common/model/route.ts";
import { noHeaderOperations } from "../../common/model/route.ts";
import { plainRoute, prefix } from "../../test/support/routes.ts";
import { meshError } from "../errors.ts";
import { exchangeOf, FilterScene, forwardRoute, responseOf, textOf } from "./contract.ts";
import { buildRouteService } from "./route-service.ts";

function destination(name: string, weight: number): WeightedDestination {
  return {
    destination: name,
    weight,
    requestHeaders: noHeaderOperations,
    responseHeaders: noHeaderOperations,
  };
}

function answering(action: RouteAction, rest: Partial<Route> = {}) {
  return plainRoute("it", { path: prefix("/old") }, { action, ...rest });
}

describe("a route that forwards", () => {
  it("splits by weight and notes the cluster", async () => {
    const scene = new FilterScene(seededRandom(9));
    for (const name of ["v1", "v2"]) scene.upstream(name, async () => responseOf(200, name));
    const route = forwardRoute({
      destinations: [destination("v1", 90), destination("v2", 10), destination("v3", 0)],
    });
    const service = buildRouteService(route, scene.context);
    let v2 = 0;
    for (let i = 0; i < 10_000; i++) {
      const exchange = exchangeOf();
      const response = await service(exchange);
      if (exchange.cluster === "v2") v2++;
      if (i < 20) expect(await textOf(response.body)).toBe(exchange.cluster);
    }
    expect(Math.abs(v2 - 1000)).toBeLessThan(100);
  });

  it("sends all attempts of a request to the destination that was picked once", async () => {
    const scene = new FilterScene(seededRandom(4));
    const tried: string[][] = [];
    for (const name of ["v1", "v2"]) {
      scene.upstream(name, () => {
        tried.at(-1)?.push(name);
        return Promise.reject(meshError("connect_refused"));
      });
    }
    const route = forwardRoute({ destinations: [destination("v1", 50), destination("v2", 50)] });
    const service = buildRouteService(route, scene.context);
    for (let i = 0; i < 20; i++) {
      tried.push([]);
      const failed = expect(service(exchangeOf())).rejects.toMatchObject({ code: "connect_refused" });
      await scene.clock.advance(1000);
      await failed;
    }
    for (const names of tried) expect(names).toEqual([names[0], names[0], names[0]]);
    expect(new Set(tried.flat())).toEqual(new Set(["v1", "v2"]));
  });

  it("applies header operations and rewrite before the copy is made, so the mirror gets what the primary gets", async () => {
    const scene = new FilterScene();
    const seen: string[] = [];
    for (const name of ["v1", "v2"]) {
      scene.upstream(name, async ({ path, headers }) => {
        seen.push(`${name} ${path} ${headers.get("x-from")}`);
        return responseOf();
      });
    }
    const route = forwardRoute(
      {
        destinations: [destination("v1", 1)],
        rewrite: { prefix: "/new/" },
        mirrors: [{ destination: "v2", fraction: 1, shadowHostSuffix: false }],
      },
      { requestHeaders: { ...noHeaderOperations, set: [["x-from", "%REQ(:path)%"]] } },
    );
    await buildRouteService(route, scene.context)(exchangeOf({ path: "/old" }));
    expect(seen).toEqual(["v1 /new/old /old", "v2 /new/old /old"]);
  });
});

describe("fault, time-out and retry on one route", () => {
  const policy = { attempts: 3, on: ["5xx"], statusCodes: [], baseIntervalMs: 25, maxIntervalMs: 250 };

  it("retries an injected abort", async () => {
    let rolls = 0;
    // The first two attempts are aborted; back-off draws chance too.
    const scene = new FilterScene(() => (rolls++ < 4 ? 0 : 0.9)).upstream("v1", async () => responseOf(200));
    const route = forwardRoute(
      { destinations: [destination("v1", 1)], retry: policy },
      { fault: { abort: { fraction: 0.5, httpStatus: 503 } } },
    );
    const answer = buildRouteService(route, scene.context)(exchangeOf());
    await scene.clock.advance(1000);
    expect((await answer).status).toBe(200);
    expect(scene.retried).toEqual(["5xx", "5xx"]);
  });

  it("times an injected delay out per try, and all tries together", async () => {
    const scene = new FilterScene(() => 0).upstream("v1", async () => responseOf(200));
    const route = forwardRoute(
      { destinations: [destination("v1", 1)], retry: { ...policy, perTryTimeoutMs: 400 }, timeoutMs: 1000 },
      { fault: { delay: { fraction: 1, kind: "fixed", ms: 2000 } } },
    );
    const exchange = exchangeOf();
    let endedAt = -1;
    const failed = expect(
      buildRouteService(
        route,
        scene.context,
      )(exchange).finally(() => {
        endedAt = scene.clock.monotonic();
      }),
    ).rejects.toMatchObject({ code: "request_timeout" });
    await scene.clock.advance(5000);
    await failed;
    expect(endedAt).toBe(1000);
    expect(scene.retried).toEqual(["5xx", "5xx"]);
    expect(exchange.flags).toBe("DI");
    expect(scene.clock.pendingTimers).toBe(0);
  });
});

describe("a route that answers itself", () => {
  it("redirects", async () => {
    const scene = new FilterScene();
    const route = answering({ kind: "redirect", status: 308, scheme: "https", prefix: "/new" });
    const exchange = exchangeOf({ path: "/old/x?q", authority: "a:80" });
    const answer = await buildRouteService(route, scene.context)(exchange);
    expect([answer.status, answer.headers.get("location")]).toEqual([308, "https://a/new/x?q"]);
    expect([await textOf(answer.body), exchange.detail]).toEqual(["", "direct_response"]);
  });

  it("sends no Location that would break its line, or lose half of a character", async () => {
    for (const authority of ["a\r\nSet-Cookie: x", "\u0141\u010d"]) {
      const route = answering({ kind: "redirect", status: 301, authority });
      const answer = buildRouteService(route, new FilterScene().context)(exchangeOf());
      await expect(answer).rejects.toMatchObject({ code: "internal", detail: "unsafe_header" });
    }
  });

  it("answers directly, with the route's header operations and CORS", async () => {
    const scene = new FilterScene();
    const action: RouteAction = { kind: "direct-response", status: 503, body: Buffer.from("closed") };
    const cors = {
      allowOrigins: [{ kind: "exact", value: "*" }],
      allowMethods: [],
      allowHeaders: [],
      exposeHeaders: [],
      allowCredentials: false,
      forwardUnmatchedPreflights: true,
    } as const;
    const responseHeaders = { ...noHeaderOperations, set: [["content-type", "text/html"]] } as const;
    const route = answering(action, { responseHeaders, cors });
    const service = buildRouteService(route, scene.context);
    for (let i = 0; i < 2; i++) {
      const answer = await service(exchangeOf({ headers: ["Origin", "https://a"] }));
      expect([answer.status, await textOf(answer.body)]).toEqual([503, "closed"]);
      expect(answer.headers.get("content-type")).toBe("text/html");
      expect(answer.headers.get("content-length")).toBe("6");
      expect(answer.headers.get("access-control-allow-origin")).toBe("https://a");
    }
  });

  it("can be delayed and aborted", async () => {
    const scene = new FilterScene();
    const fault = {
      delay: { fraction: 1, kind: "fixed", ms: 50 },
      abort: { fraction: 1, httpStatus: 500 },
    } as const;
    const action: RouteAction = { kind: "direct-response", status: 204, body: new Uint8Array() };
    const answer = buildRouteService(answering(action, { fault }), scene.context)(exchangeOf());
    await scene.clock.advance(50);
    expect((await answer).status).toBe(500);
  });
});
