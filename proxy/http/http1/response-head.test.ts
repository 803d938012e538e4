import { describe, expect, it } from "vitest";
import { parseResponseHead } from "./response-head.ts";

const limits = { maxHeaderBytes: 4_096, maxHeaderCount: 10 };

function parse(text: string, toHead = false) {
  const bytes = Buffer.from(text, "latin1");
  return parseResponseHead(bytes, 0, bytes.length, toHead, limits);
}

describe("parseResponseHead", () => {
  it("cuts a head into its parts", () => {
    const head =
      "HTTP/1.1 404 Not here\r\nX-A: b\r\nConnection: X-Hop\r\nX-Hop: 1\r\nContent-Length: 3\r\n\r\n";
    expect(parse(`${head}abc`)).toEqual({
      status: 404,
      reason: "Not here",
      fields: ["X-A", "b", "Content-Length", "3"],
      framing: 3,
      keepsAlive: true,
      keepAliveSeconds: undefined,
      upgrade: undefined,
      end: head.length,
    });
    for (let length = 0; length < head.length; length++) expect(parse(head.slice(0, length))).toBeUndefined();
  });

  it.each([
    ["HTTP/1.1 200 OK\r\n\r\n", false, "untilClose", false],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, "chunked", true],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true, 0, true],
    ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, 0, true],
    ["HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n", false, 0, true],
    ["HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n", false, 0, true],
    ["HTTP/1.1 103 Hints\r\n\r\n", false, 0, true],
    ["HTTP/1.1 101 Switch\r\nConnection: upgrade\r\nUpgrade: X\r\n\r\n", false, "tunnel", true],
    ["HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", false, 5, false],
    ["HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n", false, 5, true],
    ["HTTP/1.1 200\r\nContent-Length: 5\r\nConnection: close\r\n\r\n", false, 5, false],
  ])("frames %j (HEAD: %j) as %j, keeps alive: %j", (text, toHead, framing, keepsAlive) => {
    expect(parse(text, toHead)).toMatchObject({ framing, keepsAlive });
  });

  it("reads the hint of Keep-Alive", () => {
    expect(parse("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5, max=100\r\n\r\n")?.keepAliveSeconds).toBe(5);
    expect(parse("HTTP/1.1 200 OK\r\nKeep-Alive: max=100\r\n\r\n")?.keepAliveSeconds).toBeUndefined();
  });

  it("refuses a status line as soon as it cannot become one", () => {
    expect(() => parse("HTTP/2")).toThrow("invalid_status_line");
    expect(() => parse("SSH-")).toThrow("invalid_status_line");
  });
});
