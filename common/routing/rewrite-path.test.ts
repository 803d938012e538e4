import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { anyPath, exact, prefix } from "../../test/support/routes.ts";
import type { PathMatch } from "../model/route.ts";
import { compilePathRewrite } from "./rewrite-path.ts";

describe("compilePathRewrite", () => {
  it.each([
    ["a prefix", prefix("/api"), "/v2", "/api/x?q=1", "/v2/x?q=1"],
    ["a prefix with its slash by /", prefix("/api/"), "/", "/api/x", "/x"],
    ["a prefix by / without two slashes", prefix("/api"), "/", "/api/x", "/x"],
    ["a prefix that is the whole path by /", prefix("/api"), "/", "/api?q", "/?q"],
    ["a prefix by a path with a slash at its end", prefix("/api"), "/v2/", "/api/x", "/v2/x"],
    ["a prefix by characters", prefix("/api/"), "/new-", "/api/x", "/new-x"],
    ["a prefix of another case", prefix("/API", true), "/v2", "/api/x", "/v2/x"],
    ["nothing by a relative text", prefix("/api"), "v2", "/api/x", "/v2/x"],
    ["slashes that the client sent elsewhere as they are", prefix("/api"), "/v2", "/api//x", "/v2//x"],
    ["an exact path whole", exact("/a"), "/b", "/a?q=/a", "/b?q=/a"],
    ["a regex path whole", { kind: "regex", value: "/a.*" }, "/b", "/abc?q", "/b?q"],
    ["any path as prefix /", anyPath, "/base/", "/x?q", "/base/x?q"],
    ["text that is no URL text", prefix("/a"), "/ä b#c", "/a", "/%C3%A4%20b%23c"],
  ] as [string, PathMatch, string, string, string][])(
    "replaces %s",
    (_title, match, replacement, path, expected) => {
      expect(compilePathRewrite(match, { prefix: replacement })!(path)).toBe(expected);
    },
  );

  it.each([
    ["^/service/([^/]+)(/.*)$", "\\2/instance/\\1", "/service/foo/v1/api?q", "/v1/api/instance/foo?q"],
    ["one", "two", "/xxx/one/yyy/one/zzz?one", "/xxx/two/yyy/two/zzz?one"],
    ["^(.*?)one(.*)$", "\\1two\\2", "/xxx/one/yyy/one/zzz", "/xxx/two/yyy/one/zzz"],
    ["(?i)/xxx/", "/yyy/", "/aaa/XxX/bbb", "/aaa/yyy/bbb"],
    ["/(a)(b)?", "/[\\0|\\2]", "/a", "/[/a|]"],
    ["/", "\\\\", "/", "/\\"],
    ["nothing", "x", "/a?b", "/a?b"],
    ["x*", "-", "/ab", "/-/-a-b-"],
  ])("replaces %s by %s in %s", (pattern, substitution, path, expected) => {
    expect(compilePathRewrite(anyPath, { regex: { pattern, substitution } })!(path)).toBe(expected);
  });

  it.each([
    ["(a)", "\\2", /names group \\2, the pattern has 1/],
    ["a", "\\x", /backslash/],
    ["a", "b\\", /backslash/],
    ["(a", "b", /not valid RE2/],
  ])("refuses %s with %s", (pattern, substitution, why) => {
    expect(() => compilePathRewrite(anyPath, { regex: { pattern, substitution } })).toThrow(why);
  });

  it("has nothing to do for a rewrite of the authority alone", () => {
    expect(compilePathRewrite(anyPath, { authority: "a" })).toBeUndefined();
  });

  it("keeps the query, and makes no double slash that was not there, for all paths", () => {
    const path = fc.stringMatching(/^\/[a-c/]{0,6}(\?[a-c/?]{0,4})?$/);
    const replacement = fc.stringMatching(/^\/([a-c]{1,3}\/?)?$/);
    fc.assert(
      fc.property(path, replacement, (given, front) => {
        const rewritten = compilePathRewrite(prefix("/"), { prefix: front })!(given);
        expect(rewritten.startsWith("/")).toBe(true);
        const query = given.indexOf("?");
        if (query !== -1) expect(rewritten.endsWith(given.slice(query))).toBe(true);
        if (!given.startsWith("//")) expect(rewritten.startsWith("//")).toBe(false);
      }),
    );
  });
});
