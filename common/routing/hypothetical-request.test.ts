import { describe, expect, it } from "vitest";
import { hypotheticalRequest } from "./hypothetical-request.ts";

function read(url: string, headers: [string, string][] = []) {
  const made = hypotheticalRequest({ method: "GET", url, headers });
  if (!made.ok) return made.problems.map(({ why }) => why);
  const { scheme, authority, path } = made.value;
  return [scheme, authority, path];
}

describe("hypotheticalRequest", () => {
  it.each([
    ["http://reviews:9080/a?b=c#d", ["http", "reviews:9080", "/a?b=c"]],
    ["HTTPS://reviews", ["https", "reviews", "/"]],
    ["reviews/a", ["http", "reviews", "/a"]],
    ["reviews:9080?q", ["http", "reviews:9080", "/?q"]],
    ["http://[::1]:80/a://b", ["http", "[::1]:80", "/a://b"]],
    ["http://a/ä", ["http", "a", "/\u00c3\u00a4"]],
    ["ftp://a/b", ['scheme "ftp" is not routed']],
    ["/a", ['"/a" names no host']],
  ])("reads %s", (url, expected) => {
    expect(read(url)).toEqual(expected);
  });

  it("joins headers sent twice, and lets Host decide", () => {
    const headers: [string, string][] = [
      ["X-Role", "user"],
      ["x-role", "admin"],
      ["Host", "other"],
    ];
    expect(read("http://reviews/", headers)).toEqual(["http", "other", "/"]);
    expect(read("/a", headers)).toEqual(["http", "other", "/a"]);
    const made = hypotheticalRequest({ method: "GET", url: "/a", headers });
    expect(
      made.ok && [made.value.header("x-role"), made.value.header("host"), made.value.header("x")],
    ).toEqual(["user,admin", undefined, undefined]);
  });
});
