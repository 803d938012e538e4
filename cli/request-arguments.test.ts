import { describe, expect, it } from "vitest";
import { checkedHeaders, labelsFromArgument } from "./request-arguments.ts";

describe("checkedHeaders", () => {
  it("keeps all values of a header, in order", () => {
    expect(checkedHeaders("GET", "http://review:9080/", ["X-A: 1", "Host:review", "X-A:2"])).toEqual({
      "X-A": ["1", "2"],
      Host: ["review"],
    });
  });

  it.each(["ftp://review/", "http:///x", ""])("refuses %j", (url) => {
    expect(() => checkedHeaders("GET", url, [])).toThrow(/^weft explain: .*use http|names no host/);
  });

  it("refuses what is no method", () => {
    expect(() => checkedHeaders("GET /", "http://a/", [])).toThrow(/is not an HTTP method/);
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
