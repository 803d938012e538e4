import { describe, expect, it } from "vitest";
import { plainRoute } from "../../test/support/routes.ts";
import type { ForwardAction } from "../model/route.ts";
import { checkRoutes } from "./check-routes.ts";

const bad = { kind: "regex", value: "(a" } as const;

function forward(changes: Partial<ForwardAction>) {
  const plain = plainRoute("it");
  return { ...plain, action: { ...(plain.action as ForwardAction), ...changes } };
}

describe("checkRoutes", () => {
  it("finds every pattern that would not compile, with its place", () => {
    const cors = {
      allowOrigins: [{ kind: "exact", value: "a" } as const, bad],
      allowMethods: [],
      allowHeaders: [],
      exposeHeaders: [],
      allowCredentials: false,
      forwardUnmatchedPreflights: true,
    };
    const match = {
      path: bad,
      method: bad,
      scheme: bad,
      authority: bad,
      headers: [
        { name: "a", invert: false },
        { name: "b", invert: true, match: bad },
      ],
      queryParams: [{ name: "a", match: bad }],
    };
    const rewrite = { regex: { pattern: "(a)", substitution: "\\2" } };
    const found = checkRoutes({
      routes: [plainRoute("a"), plainRoute("b", match, { cors }), forward({ rewrite })],
    });
    expect(found.map(({ path }) => path)).toEqual([
      "routes[1].match.path",
      "routes[1].match.method",
      "routes[1].match.scheme",
      "routes[1].match.authority",
      "routes[1].match.headers[1]",
      "routes[1].match.queryParams[0]",
      "routes[1].cors.allowOrigins[1]",
      "routes[2].action.rewrite",
    ]);
    expect(found[0]?.why).toMatch(/not valid RE2: missing closing \)/);
  });

  it.each([
    [[], "there is no destination"],
    [[0, 0], "the weights add up to 0"],
    [[1, -1], "a weight is not a number from 0 up"],
    [[Number.NaN], "a weight is not a number from 0 up"],
    [[0, 1], undefined],
  ])("judges weights %j: %s", (weights, why) => {
    const plain = (plainRoute("it").action as ForwardAction).destinations[0]!;
    const destinations = weights.map((weight) => ({ ...plain, weight }));
    expect(checkRoutes({ routes: [forward({ destinations })] }).map((problem) => problem.why)).toEqual(
      why === undefined ? [] : [why],
    );
  });
});
