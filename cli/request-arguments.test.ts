import { describe, expect, it } from "vitest";
import { labelsFromArgument, requestFromArguments } from "./request-arguments.ts";

describe("requestFromArguments", () => {
  it("it keeps the path as written and joins repeated headers", () => {
    const request = requestFromArguments("get", "HTTP://review:9080/a/../b%2f?x=1#there", [
      "X-A: 1",
      "x-a:2",
    ]);
    expect(request).toMatchObject({
      method: "GET",
      scheme: "http",
      authority: "review:9080",
      path: "/a/../b%2f?x=1",
      port: 9080,
    });
    expect([request.header("x-a"), request.header("x-b")]).toEqual(["1,2", undefined]);
  });

  it.each([
    ["http://a", "/", 80],
    ["https://a?q", "/?q", 443],
    ["http://[::1]:81/", "/", 81],
    ["http://a/ü", "/Ã¼", 80],
  ])("it reads %s", (url, path, port) => {
    expect(requestFromArguments("GET", url, [])).toMatchObject({ path, port });
  });

  it("it takes another Host from the headers", () => {
    expect(requestFromArguments("GET", "http://localhost:15101/", ["Host: review"]).authority).toBe("review");
  });

  it.each(["review", "ftp://review/", "http:///x", ""])("it refuses %j", (url) => {
    expect(() => requestFromArguments("GET", url, [])).toThrow(/is not a URL/);
  });
});

describe("labelsFromArgument", () => {
  it("it reads pairs, and a key called __proto__ as any other", () => {
    const labels = labelsFromArgument("--from", "app=a, version=v1,x=,__proto__=y");
    expect(Object.entries(labels)).toEqual([
      ["app", "a"],
      ["version", "v1"],
      ["x", ""],
      ["__proto__", "y"],
    ]);
    expect(() => labelsFromArgument("--from", "app")).toThrow(/--from "app" is not k=v/);
  });
});
