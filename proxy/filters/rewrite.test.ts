import { describe, expect, it } from "vitest";
import type { Rewrite } from "../../common/model/route.ts";
import { plainRoute, prefix } from "../../test/support/routes.ts";
import { describeFilter, exchangeOf, FilterScene, forwardRoute, responseOf } from "./contract.ts";
import { rewrite } from "./rewrite.ts";

function rewriting(change: Rewrite) {
  const route = forwardRoute({ rewrite: change });
  return { ...route, match: { ...route.match, path: prefix("/api") } };
}

describeFilter(rewrite, rewriting({ prefix: "/v2" }));

describe("rewrite", () => {
  it("is off without a rewrite", () => {
    const { context } = new FilterScene();
    expect(rewrite.build(plainRoute("a"), context)).toBeUndefined();
    expect(rewrite.build(rewriting({}), context)).toBeUndefined();
  });

  it("changes the path and keeps the original where Envoy does, whatever the client claims", async () => {
    const exchange = exchangeOf({ path: "/api/x?q=1", headers: ["X-Envoy-Original-Path", "/forged"] });
    await new FilterScene().wrap(rewrite, rewriting({ prefix: "/v2" }), async () => responseOf())(exchange);
    expect([exchange.path, exchange.originalPath]).toEqual(["/v2/x?q=1", "/api/x?q=1"]);
    expect(exchange.headers.raw).toEqual(["X-Envoy-Original-Path", "/api/x?q=1"]);
    expect(exchange.authority).toBe("reviews");
  });

  it("changes the authority alone", async () => {
    const exchange = exchangeOf({ path: "/api/x" });
    await new FilterScene().wrap(rewrite, rewriting({ authority: "other" }), async () => responseOf())(
      exchange,
    );
    expect([exchange.authority, exchange.path, exchange.originalPath]).toEqual([
      "other",
      "/api/x",
      undefined,
    ]);
    expect(exchange.headers.raw).toEqual([]);
  });

  it("changes the path by a regex", async () => {
    const exchange = exchangeOf({ path: "/api/x" });
    const regex = { pattern: "^/api/(.*)$", substitution: "/\\1/api" };
    await new FilterScene().wrap(rewrite, rewriting({ regex }), async () => responseOf())(exchange);
    expect(exchange.path).toBe("/x/api");
  });
});
