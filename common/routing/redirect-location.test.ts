import { describe, expect, it } from "vitest";
import { anyPath, prefix } from "../../test/support/routes.ts";
import type { PathMatch, RedirectAction } from "../model/route.ts";
import { compileLocation } from "./redirect-location.ts";

function locate(action: Partial<RedirectAction>, url: string, match: PathMatch = anyPath): string {
  const [, scheme, authority, path] = /^(\w+):\/\/([^/]*)(.*)$/.exec(url)!;
  const request = { scheme: scheme!, authority: authority!, path: path! };
  return compileLocation(match, { kind: "redirect", status: 301, ...action })(request);
}

describe("compileLocation", () => {
  it.each([
    ["keeps what it does not change", {}, "http://a:8080/x?q", "http://a:8080/x?q"],
    ["changes the scheme", { scheme: "https" }, "http://a/x", "https://a/x"],
    ["drops the port that was the old scheme's default", { scheme: "https" }, "http://a:80/x", "https://a/x"],
    ["keeps another port with a new scheme", { scheme: "https" }, "http://a:8080/x", "https://a:8080/x"],
    ["leaves out a default port", {}, "http://a:80/x", "http://a/x"],
    ["changes the authority with its port", { authority: "b:81" }, "http://a:8080/x", "http://b:81/x"],
    ["does not carry the port to another authority", { authority: "b" }, "http://a:8080/x", "http://b/x"],
    ["sets a port", { port: 8443, scheme: "https" }, "http://a:80/x", "https://a:8443/x"],
    ["sets a default port by leaving it out", { port: 443, scheme: "https" }, "http://a:80/x", "https://a/x"],
    ["derives the port from the scheme", { port: "from-protocol-default" }, "http://a:8080/x", "http://a/x"],
    [
      "derives the port from the request",
      { port: "from-request-port", authority: "b" },
      "http://a:8080/x",
      "http://b:8080/x",
    ],
    [
      "derives a request port that was not written",
      { port: "from-request-port", scheme: "https" },
      "http://a/x",
      "https://a:80/x",
    ],
    ["changes the path and keeps the query", { path: "/new" }, "http://a/x?q=1", "http://a/new?q=1"],
    ["lets the path bring its own query", { path: "/new?p=2" }, "http://a/x?q=1", "http://a/new?p=2"],
    ["knows IPv6", { scheme: "https" }, "http://[::1]:80/x", "https://[::1]/x"],
    [
      "puts no line break into the Location",
      { path: "/a\r\nSet-Cookie: b" },
      "http://a/x",
      "http://a/a%0D%0ASet-Cookie:%20b",
    ],
  ] as [string, Partial<RedirectAction>, string, string][])("%s", (_title, action, url, expected) => {
    expect(locate(action, url)).toBe(expected);
  });

  it("changes the matched prefix", () => {
    expect(locate({ prefix: "/new" }, "http://a/old/x?q", prefix("/old"))).toBe("http://a/new/x?q");
    expect(locate({ prefix: "/" }, "http://a/old/x", prefix("/old"))).toBe("http://a/x");
  });
});
