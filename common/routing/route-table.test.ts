import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { anyPath, exact, plainRequest, plainRoute, prefix, virtualHost } from "../../test/support/routes.ts";
import type { Route, RouteMatch } from "../model/route.ts";
import { explainRoute } from "./explain.ts";
import type { RequestView } from "./request-view.ts";
import { compileRoutes, RouteError } from "./route-table.ts";

function tableOf(...routes: Route[]) {
  const configuration = { name: "9080", vhds: false, virtualHosts: [virtualHost("reviews", ["*"], routes)] };
  return compileRoutes(configuration, (route) => route.name);
}

/** Does a route with `match` take the request? */
function takes(match: Partial<RouteMatch>, request: RequestView): boolean {
  return tableOf(plainRoute("it", match)).match(request) !== undefined;
}

describe("route match", () => {
  it.each([
    ["an exact path", { path: exact("/a") }, "/a", true],
    ["an exact path without its query", { path: exact("/a") }, "/a?x=/b", true],
    ["no longer path than the exact one", { path: exact("/a") }, "/a/", false],
    ["no other case", { path: exact("/a") }, "/A", false],
    ["another case when told", { path: exact("/Ab", true) }, "/aB?C", true],
    ["a prefix by characters", { path: prefix("/rev") }, "/reviews/1", true],
    ["a prefix that is the whole path", { path: prefix("/rev") }, "/rev", true],
    ["no prefix that reaches into the query", { path: prefix("/a?b") }, "/a?b", false],
    ["a prefix of another case when told", { path: prefix("/API", true) }, "/api/x", true],
    ["any path", { path: anyPath }, "*", true],
    ["a regex on the whole path", { path: { kind: "regex", value: "/v[0-9]+/.*" } }, "/v12/x?q", true],
    ["no regex on a part", { path: { kind: "regex", value: "/v[0-9]+" } }, "/v12/x", false],
    ["UTF-8 text as the bytes of the request", { path: exact("/ä") }, "/\u00c3\u00a4", true],
  ] as [string, Partial<RouteMatch>, string, boolean][])("takes %s", (_title, match, path, expected) => {
    expect(takes(match, plainRequest(path))).toBe(expected);
  });

  it.each([
    ["exact", { kind: "exact", value: "jason" }, "jason", true],
    ["exact against a header sent twice", { kind: "exact", value: "jason" }, "jason,jason", false],
    ["prefix", { kind: "prefix", value: "ja" }, "jason", true],
    ["regex in full", { kind: "regex", value: "j.*" }, "jason", true],
    ["no regex in part", { kind: "regex", value: "j" }, "jason", false],
    ["regex on invalid UTF-8", { kind: "regex", value: "[^a]+" }, "\u00ff\u0080", true],
    ["presence", undefined, "", true],
  ] as const)("takes a header by %s", (_title, match, value, expected) => {
    const headers = [{ name: "end-user", invert: false, ...(match && { match }) }];
    expect(takes({ headers }, plainRequest("/", { "end-user": value }))).toBe(expected);
    expect(takes({ headers }, plainRequest("/"))).toBe(false);
  });

  it.each([
    ["absent", undefined, true],
    ["another value", "user", true],
    ["the value", "admin", false],
    ["the value second of two", "user,admin", false],
    ["the value first of two, with a space", "admin, user", false],
  ])("fails closed on a negative match when the header is %s", (_title, value, expected) => {
    const headers = [{ name: "x-role", invert: true, match: { kind: "exact", value: "admin" } as const }];
    expect(takes({ headers }, plainRequest("/", value === undefined ? {} : { "x-role": value }))).toBe(
      expected,
    );
  });

  it("takes absence by a negative presence match", () => {
    const headers = [{ name: "x-role", invert: true }];
    expect(takes({ headers }, plainRequest("/"))).toBe(true);
    expect(takes({ headers }, plainRequest("/", { "x-role": "" }))).toBe(false);
  });

  it.each([
    ["/?a=1", { kind: "exact", value: "1" }, true],
    ["/?b=2&a=1", { kind: "exact", value: "1" }, true],
    ["/?aa=1", { kind: "exact", value: "1" }, false],
    ["/?a=1&a=2", { kind: "exact", value: "2" }, false],
    ["/?a", undefined, true],
    ["/?a", { kind: "exact", value: "" }, true],
    ["/?ab", undefined, false],
    ["/?", undefined, false],
    ["/a=1", undefined, false],
    ["/?a=12", { kind: "regex", value: "[0-9]+" }, true],
    ["/?a=12", { kind: "prefix", value: "1" }, true],
  ] as const)("reads parameter a of %s against %j", (path, match, expected) => {
    expect(takes({ queryParams: [{ name: "a", ...(match && { match }) }] }, plainRequest(path))).toBe(
      expected,
    );
  });

  it.each([
    ["reviews:9080", "reviews:9080", true],
    ["reviews", "reviews:9080", true],
    ["Reviews.", "REVIEWS:9080", false],
    ["Reviews", "REVIEWS.:9080", true],
    ["reviews:80", "reviews:9080", false],
  ])("compares authority %s with %s, with and without port", (value, authority, expected) => {
    const match = { authority: { kind: "exact", value } as const };
    expect(takes(match, plainRequest("/", {}, { authority }))).toBe(expected);
    const byHeader = { headers: [{ name: "Host", invert: false, match: { kind: "exact", value } as const }] };
    expect(takes(byHeader, plainRequest("/", {}, { authority }))).toBe(expected);
  });

  it("compares method and scheme", () => {
    const match: Partial<RouteMatch> = {
      method: { kind: "regex", value: "GET|HEAD" },
      scheme: { kind: "exact", value: "https" },
    };
    expect(takes(match, plainRequest("/", {}, { scheme: "https" }))).toBe(true);
    expect(takes(match, plainRequest("/"))).toBe(false);
    expect(takes(match, plainRequest("/", {}, { scheme: "https", method: "PUT" }))).toBe(false);
  });
});

describe("RouteTable", () => {
  it("gives the same decision object to each request", () => {
    const table = tableOf(plainRoute("a"));
    const decision = table.match(plainRequest("/x"));
    expect(decision?.target).toBe("a");
    expect(decision?.route.name).toBe("a");
    expect(decision?.virtualHost.name).toBe("reviews");
    expect(table.match(plainRequest("/y"))).toBe(decision);
  });

  it("tries no other virtual host when none of the first one's routes match", () => {
    const table = compileRoutes(
      {
        name: "9080",
        vhds: false,
        virtualHosts: [
          virtualHost("reviews", ["reviews"], [plainRoute("a", { path: exact("/a") })]),
          virtualHost("all", ["*"], [plainRoute("b")]),
        ],
      },
      () => undefined,
    );
    expect(table.match(plainRequest("/b"))).toBeUndefined();
    expect(table.findVirtualHost("reviews")?.name).toBe("reviews");
    expect(table.match(plainRequest("/b", {}, { authority: "other" }))?.route.name).toBe("b");
  });

  it("recompiles only the virtual hosts that changed", () => {
    let built = 0;
    const before = compileRoutes(
      {
        name: "9080",
        vhds: true,
        virtualHosts: ["a", "b", "c"].map((name) => virtualHost(name, [name], [plainRoute(name)])),
      },
      (route) => `${route.name}${++built}`,
    );
    const after = before.withVirtualHosts([virtualHost("b", ["b2"], [plainRoute("b")])], ["c"]);
    const target = (table: typeof before, authority: string) =>
      table.match(plainRequest("/", {}, { authority }))?.target;
    expect(["a", "b", "c"].map((host) => target(before, host))).toEqual(["a1", "b2", "c3"]);
    expect(["a", "b", "b2", "c"].map((host) => target(after, host))).toEqual([
      "a1",
      undefined,
      "b4",
      undefined,
    ]);
    expect(after.virtualHosts.map(({ name }) => name)).toEqual(["a", "b"]);
  });

  it("names the route whose pattern is refused", () => {
    const broken = plainRoute("broken", { path: { kind: "regex", value: "(a" } });
    expect(() => tableOf(plainRoute("fine"), broken)).toThrow(RouteError);
    expect(() => tableOf(broken)).toThrow(/virtual host reviews, route broken: .*missing closing \)/);
  });
});

// --- properties ---

const segment = fc.constantFrom("/", "/a", "/ab", "/A", "/a/b", "/a/b/c", "/b", "/b/c", "/abc", "");
const somePath = fc.oneof(
  fc.constant(anyPath),
  fc.record({
    kind: fc.constantFrom("exact" as const, "prefix" as const),
    value: segment,
    ignoreCase: fc.boolean(),
  }),
  fc.record({ kind: fc.constant("regex" as const), value: fc.constantFrom("/a.*", "/[ab]/?", ".*c", "") }),
);
const someHeader = fc.record({
  name: fc.constantFrom("x", "y"),
  invert: fc.boolean(),
  match: fc.record({
    kind: fc.constantFrom("exact" as const, "prefix" as const),
    value: fc.constantFrom("1", "2"),
  }),
});
const someRoutes = fc
  .array(fc.record({ path: somePath, headers: fc.array(someHeader, { maxLength: 2 }) }), { maxLength: 30 })
  .map((matches) => matches.map((match, index) => plainRoute(`r${index}`, match)));
const someRequest = fc
  .record({
    path: fc.tuple(segment, fc.constantFrom("", "/x", "?q=/a", "c")).map((parts) => parts.join("")),
    headers: fc.record(
      { x: fc.constantFrom("1", "2", "1,2"), y: fc.constantFrom("1", "22") },
      { requiredKeys: [] },
    ),
  })
  .map(({ path, headers }) => plainRequest(path, headers));

describe("RouteTable, for all routes and requests", () => {
  it("chooses what explain chooses, and the first that matches alone", () => {
    fc.assert(
      fc.property(someRoutes, someRequest, (routes, request) => {
        const table = tableOf(...routes);
        const chosen = table.match(request)?.route.name;
        expect(explainRoute(table, request).chosen?.name).toBe(chosen);
        expect(routes.find((route) => tableOf(route).match(request) !== undefined)?.name).toBe(chosen);
      }),
      { numRuns: 300 },
    );
  });
});
