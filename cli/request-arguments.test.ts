import { describe, expect, it } from "vitest";
import { labelsFromArgument, requestFromArguments } from "./request-arguments.ts";

describe("requestFromArguments", () => {
  it("it keeps the path as written and joins repeated headers", () => {
    const { request, port } = requestFromArguments("get", "HTTP://review:9080/a/../b%2f?x=1#there", [
      "X-A: 1",
      "x-a:2",
    ]);
    expect({ ...request, port }).toMatchObject({
      method: "GET",
      scheme: "http",
      authority: "review:9080",
      path: "/a/../b%2f?x=1",
      port: 9080,
    });
    expect([request.header("x-a"), request.header("x-b")]).toEqual(["1,2", undefined]);
  });

  it.each([
    ["http://a", 80],
    ["https://a?q", 443],
    ["http://[::1]:81/", 81],
    ["review:9080/x", 9080],
    ["http://a/b:99/c", 80],
  ])("it reads the port of %s as %i", (url, port) => {
    expect(requestFromArguments("GET", url, []).port).toBe(port);
  });

  it("it takes another Host from the headers, and keeps the URL's port", () => {
    const { request, port } = requestFromArguments("GET", "http://localhost:15101/", ["Host: review"]);
    expect([request.authority, port]).toEqual(["review", 15101]);
  });

  it.each(["ftp://review/", "http:///x", ""])("it refuses %j", (url) => {
    expect(() => requestFromArguments("GET", url, [])).toThrow(/^weft explain: .*use http|names no host/);
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
