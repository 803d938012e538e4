import { describe, expect, it } from "vitest";
import { MeshError } from "../../errors.ts";
import { defaultHttpServerSettings } from "../http-server.ts";
import type { RequestHead } from "./request-head.ts";
import { parseRequestHead } from "./request-head.ts";

function parse(text: string, settings = defaultHttpServerSettings): RequestHead | undefined {
  const bytes = Buffer.from(text, "latin1");
  return parseRequestHead(bytes, 0, bytes.length, settings);
}

function code(text: string, settings = defaultHttpServerSettings): string {
  try {
    return parse(text, settings) === undefined ? "incomplete" : "accepted";
  } catch (thrown) {
    return thrown instanceof MeshError ? `${thrown.code} ${thrown.detail}` : String(thrown);
  }
}

const sound = "POST /a?b HTTP/1.1\r\nHost: h:1\r\nX-A: b \r\nContent-Length: 007\r\nX-a:\r\n\r\n";

describe("parseRequestHead", () => {
  it("cuts a head into its parts and says where it ends", () => {
    expect(parse(`${sound}rest`)).toEqual({
      method: "POST",
      path: "/a?b",
      authority: "h:1",
      fields: ["X-A", "b", "Content-Length", "7", "X-a", ""],
      framing: 7,
      connection: { close: false, keepAlive: false, upgrade: false, nominated: undefined },
      upgrade: undefined,
      expectsContinue: false,
      end: sound.length,
    });
  });

  it("finds every proper prefix of a sound head incomplete", () => {
    for (let length = 0; length < sound.length; length++)
      expect(code(sound.slice(0, length))).toBe("incomplete");
  });

  it("reads a head in the middle of a buffer", () => {
    const bytes = Buffer.from(`junk${sound}junk`);
    expect(parseRequestHead(bytes, 4, bytes.length, defaultHttpServerSettings)?.end).toBe(4 + sound.length);
  });

  it("takes an upgrade only when Connection names it and there is no body", () => {
    const upgrade = (lines: string) => parse(`GET / HTTP/1.1\r\nHost: h\r\n${lines}\r\n`)?.upgrade;
    expect(upgrade("Connection: upgrade\r\nUpgrade: WebSocket\r\n")).toBe("websocket");
    expect(upgrade("Connection: keep-alive, Upgrade\r\nUpgrade: h2c, websocket\r\n")).toBe("websocket");
    expect(upgrade("Upgrade: websocket\r\n")).toBeUndefined();
    expect(upgrade("Connection: upgrade\r\nUpgrade: h2c\r\n")).toBeUndefined();
    expect(upgrade("Connection: upgrade\r\nUpgrade: TLS/1.2\r\n")).toBeUndefined();
    expect(upgrade("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n")).toBeUndefined();
  });

  it.each([
    ["GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", "bad_request http1.duplicate_host"],
    ["GET / HTTP/1.1\r\nA: b\r\n\r\n", "bad_request http1.missing_host"],
    ["GET / HTTP/1.1\r\nHost: h\r\n x\r\n\r\n", "bad_request http1.obs_fold"],
    ["GET / HTTP/1.1\r\nHost : h\r\n\r\n", "bad_request http1.space_before_colon"],
    ["GET / HTTP/1.1\r\nHost: h\n\r\n", "bad_request http1.bare_lf"],
    ["GET /#f HTTP/1.1\r\nHost: h\r\n\r\n", "bad_request http1.fragment_in_target"],
    ["BREW / HTTP/1.1\r\nHost: h\r\n\r\n", "bad_request http1.unknown_method"],
    ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "bad_request http1.unknown_method"],
    ["GET / HTTP/1.0\r\n\r\n", "upgrade_required http1.http_1_0"],
    ["GET / HTTP/1.2\r\nHost: h\r\n\r\n", "version_not_supported http1.version_not_supported"],
    ["GET / HTTX", "bad_request http1.invalid_request_line"],
    ["CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n", "method_not_allowed http1.connect_not_allowed"],
    ["GET / HTTP/1.1\r\nHost: h\r\nExpect: a\r\n\r\n", "expectation_failed http1.unknown_expectation"],
    [
      "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: br, chunked\r\n\r\n",
      "transfer_encoding_unsupported http1.unsupported_transfer_encoding",
    ],
  ])("says why it refuses %j", (text, why) => expect(code(text)).toBe(why));

  it("holds to its limits exactly", () => {
    const settings = { ...defaultHttpServerSettings, maxHeaderCount: 2, maxUrlLength: 4, maxHeaderBytes: 60 };
    expect(code("GET /abc HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n", settings)).toBe("accepted");
    expect(code("GET /abcd HTTP/1.1\r\nHost: h\r\n\r\n", settings)).toBe("uri_too_long http1.uri_too_long");
    expect(code("GET /abcd", settings)).toBe("uri_too_long http1.uri_too_long");
    expect(code("GET / HTTP/1.1\r\nHost: h\r\nA: b\r\nC: d\r\n\r\n", settings)).toBe(
      "headers_too_large http1.too_many_headers",
    );
    expect(code(`GET / HTTP/1.1\r\nHost: h\r\nA: ${"b".repeat(40)}`, settings)).toBe(
      "headers_too_large http1.headers_too_large",
    );
  });
});
