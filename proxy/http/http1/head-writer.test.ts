import { describe, expect, it } from "vitest";
import { Body } from "../body.ts";
import { Exchange } from "../exchange.ts";
import { HeaderList } from "../header-list.ts";
import { interimHead, requestHead, responseHead, switchingHead } from "./head-writer.ts";

function exchange(method: string, raw: string[], path = "/p", upgrade?: string): Exchange {
  const address = { host: "127.0.0.1", port: 1 };
  return new Exchange({
    downstream: { remote: address, local: address, listener: "l", scheme: "http" },
    protocol: "HTTP/1.1",
    startedAt: 0,
    method,
    scheme: "http",
    authority: "h",
    path,
    headers: new HeaderList(raw),
    body: Body.empty(),
    upgrade,
    expectsContinue: false,
  });
}

const leftovers = [
  "connection",
  "close",
  "Keep-Alive",
  "x",
  "transfer-encoding",
  "gzip",
  "host",
  "evil",
  "Upgrade",
  "h2c",
];

describe("requestHead", () => {
  it("decides about framing alone, whatever filters left in the list", () => {
    const request = exchange("POST", ["A", "b", ...leftovers, "content-length", "99"]);
    expect(requestHead(request, 5)).toBe("POST /p HTTP/1.1\r\nHost: h\r\nA: b\r\nContent-Length: 5\r\n\r\n");
    expect(requestHead(request, "chunked")).toBe(
      "POST /p HTTP/1.1\r\nHost: h\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
  });

  it("keeps a Content-Length that is right where it stood, once", () => {
    const request = exchange("PUT", ["content-LENGTH", "5", "A", "b", "Content-Length", "5"]);
    expect(requestHead(request, 5)).toBe("PUT /p HTTP/1.1\r\nHost: h\r\ncontent-LENGTH: 5\r\nA: b\r\n\r\n");
  });

  it("says that a POST is empty, and nothing about a GET", () => {
    expect(requestHead(exchange("POST", []), 0)).toContain("Content-Length: 0\r\n");
    expect(requestHead(exchange("GET", []), 0)).toBe("GET /p HTTP/1.1\r\nHost: h\r\n\r\n");
  });

  it("asks for an upgrade", () => {
    expect(requestHead(exchange("GET", [], "/p", "websocket"), "tunnel")).toBe(
      "GET /p HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
  });

  it.each(["/a b", "/a\r\nX: y", "/a\0", "/\x7f"])("refuses the path %j that a filter made", (path) => {
    expect(() => requestHead(exchange("GET", [], path), 0)).toThrow("unsafe_request_line");
  });
});

describe("responseHead", () => {
  const headers = new HeaderList(["A", "b", ...leftovers.slice(0, 6), "Content-Length", "9"]);

  it("keeps the length of a body that is not sent, but never with 204", () => {
    expect(responseHead(200, "OK", headers, 0, true, "keep-alive")).toBe(
      "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 9\r\n\r\n",
    );
    expect(responseHead(304, "", headers, 0, true, "close")).toBe(
      "HTTP/1.1 304 Not Modified\r\nA: b\r\nContent-Length: 9\r\nConnection: close\r\n\r\n",
    );
    expect(responseHead(204, "", headers, 0, true, "keep-alive")).toBe(
      "HTTP/1.1 204 No Content\r\nA: b\r\n\r\n",
    );
  });

  it("writes the framing that the body has", () => {
    expect(responseHead(200, "Own words", headers, 4, false, "keep-alive")).toBe(
      "HTTP/1.1 200 Own words\r\nA: b\r\nContent-Length: 4\r\n\r\n",
    );
    expect(responseHead(599, "", headers, "chunked", false, "keep-alive")).toBe(
      "HTTP/1.1 599 \r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
  });

  it("writes interim and switching heads without framing", () => {
    expect(interimHead(103, headers)).toBe("HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n");
    expect(switchingHead(headers, "websocket")).toBe(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nA: b\r\n\r\n",
    );
  });
});
