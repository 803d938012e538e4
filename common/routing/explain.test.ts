import { describe, expect, it } from "vitest";
import { exact, plainRequest, plainRoute, prefix, virtualHost } from "../../test/support/routes.ts";
import type { Route } from "../model/route.ts";
import { explainRoute } from "./explain.ts";
import { compileRoutes } from "./route-table.ts";

function explain(routes: readonly Route[], request = plainRequest("/api/x?q=1", { "end-user": "alice" })) {
  const virtualHosts = [virtualHost("reviews.default", ["reviews", "reviews:9080"], routes)];
  return explainRoute(
    compileRoutes({ name: "9080", vhds: false, virtualHosts }, () => undefined),
    request,
  );
}

const source = {
  kind: "VirtualService",
  namespace: "default",
  name: "reviews",
  file: "reviews.yaml",
  line: 12,
};

describe("explainRoute", () => {
  it("names the chosen route, why the ones before it lost, and that those after it were never reached", () => {
    const jason = {
      headers: [{ name: "end-user", invert: false, match: { kind: "exact", value: "jason" } as const }],
    };
    const explained = explain([
      plainRoute("jason", jason, { source }),
      plainRoute("reviews", { path: prefix("/reviews") }),
      plainRoute("api", { path: prefix("/api") }, { source }),
      plainRoute("rest"),
    ]);
    expect(explained.virtualHost).toEqual({ name: "reviews.default", domain: "reviews" });
    expect(explained.routes.map(({ name, verdict, why }) => [name, verdict, why])).toEqual([
      ["jason", "lost", 'header end-user is "alice", wanted exact "jason"'],
      ["reviews", "lost", "path /api/x does not start with /reviews"],
      ["api", "chosen", "everything it asks for holds"],
      ["rest", "never-reached", "never reached: an earlier route matched"],
    ]);
    expect(explained.chosen).toMatchObject({ name: "api", source, action: "forward" });
    expect(explained.outcome).toBe("route api forwards to outbound|80||api (100 %)");
  });

  it("says the shares of a split", () => {
    const route = plainRoute("split");
    if (route.action.kind !== "forward") throw new Error("not a forward");
    const [first] = route.action.destinations;
    const destinations = [
      { ...first!, destination: "v1", weight: 1 },
      { ...first!, destination: "v2", weight: 2 },
    ];
    const explained = explain([{ ...route, action: { ...route.action, destinations } }]);
    expect(explained.outcome).toBe("route split forwards to v1 (33.3 %), v2 (66.7 %)");
    expect(explained.chosen?.destinations).toEqual([
      { cluster: "v1", weight: 1, share: 1 / 3 },
      { cluster: "v2", weight: 2, share: 2 / 3 },
    ]);
  });

  it.each([
    [{ path: exact("/a") }, "path /api/x is not /a"],
    [{ path: exact("/A", true) }, "path /api/x is not /A (ignoring case)"],
    [{ path: { kind: "regex", value: "/v.*" } as const }, "path /api/x does not match the regex /v.*"],
    [{ method: { kind: "exact", value: "PUT" } as const }, 'method is "GET", wanted exact "PUT"'],
    [{ headers: [{ name: "x", invert: false }] }, "header x is absent, wanted it present"],
    [{ headers: [{ name: "end-user", invert: true }] }, 'header end-user is "alice", wanted it absent'],
    [
      { headers: [{ name: "end-user", invert: true, match: { kind: "prefix", value: "a" } as const }] },
      'header end-user is "alice", wanted anything but prefix "a"',
    ],
    [
      { queryParams: [{ name: "q", match: { kind: "regex", value: "[a-z]" } as const }] },
      'query parameter q is "1", wanted regex "[a-z]"',
    ],
    [{ authority: { kind: "exact", value: "a" } as const }, 'authority is "reviews", wanted exact "a"'],
  ])("puts a failed predicate into words: %j", (match, why) => {
    const explained = explain([plainRoute("it", match)]);
    expect(explained.routes[0]?.why).toBe(why);
    expect(explained.chosen).toBeUndefined();
    expect(explained.outcome).toMatch(/no route of virtual host reviews.default matches/);
  });

  it("says when no domain fits", () => {
    const explained = explain([plainRoute("a")], plainRequest("/", {}, { authority: "ratings" }));
    expect(explained.outcome).toMatch(/no virtual host has a domain for ratings/);
    expect(explained.virtualHost).toBeUndefined();
    expect(explained.routes).toEqual([]);
  });
});
