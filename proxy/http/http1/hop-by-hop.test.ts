import { describe, expect, it } from "vitest";
import { parseConnection, removeNominated } from "./hop-by-hop.ts";

describe("parseConnection", () => {
  it("reads the common options in any case", () => {
    expect(parseConnection("close")).toMatchObject({ close: true, keepAlive: false, upgrade: false });
    expect(parseConnection("Keep-Alive")).toMatchObject({ close: false, keepAlive: true });
    expect(parseConnection("keep-alive, UPGRADE ,")).toMatchObject({
      keepAlive: true,
      upgrade: true,
      nominated: undefined,
    });
  });

  it("nominates other fields, but never those that carry identity, framing or routing", () => {
    const { nominated } = parseConnection(
      "X-Hop, Cookie, Host, Content-Length, Authorization, X-Forwarded-Client-Cert, X-Forwarded-For, traceparent, My-Own",
    );
    expect(nominated).toEqual(["x-hop", "my-own"]);
  });
});

describe("removeNominated", () => {
  it("removes every occurrence and keeps the order of the rest", () => {
    const raw = ["A", "1", "X-Hop", "2", "B", "3", "x-hop", "4", "C", "5"];
    removeNominated(raw, ["x-hop"]);
    expect(raw).toEqual(["A", "1", "B", "3", "C", "5"]);
  });
});
