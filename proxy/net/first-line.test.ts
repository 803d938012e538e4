import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readFirstLine } from "./first-line.ts";

const read = (text: string) => readFirstLine(Buffer.from(text, "latin1"));

describe("the first line of a connection", () => {
  it.each(["GET / HTTP/1.1\r\n", "M-SEARCH * HTTP/1.1\r\nHost: a\r\n", "POST /a HTTP/1.0\nHost: a"])(
    "tells HTTP/1 by its request line: %j",
    (text) => expect(read(text)).toEqual({ kind: "plain", protocols: ["http/1.1"] }),
  );

  it("tells HTTP/2 by its preface", () => {
    const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    expect(read(preface)).toEqual({ kind: "plain", protocols: ["h2c"] });
    expect(read(`${preface}\0\0\0`)).toEqual({ kind: "plain", protocols: ["h2c"] });
  });

  it.each(["*1\r\n$4\r\nPING\r\n", "GET key\r\n", "hello", "\0\0\0", "PRINT me\r\n", "get / HTTP/1.1\r\n"])(
    "takes everything else as it is: %j",
    (text) => expect(read(text)).toEqual({ kind: "plain" }),
  );

  it.each(["", "G", "GET / HT", "PRI * HTTP/2.0\r\n\r\nS"])("waits for the rest of %j", (text) =>
    expect(read(text)).toEqual({ kind: "incomplete" }),
  );

  it("waits for no line that never ends", () => {
    expect(read(`GET /${"a".repeat(20_000)}`)).toEqual({ kind: "plain" });
  });

  it("never throws, and changes its mind about nothing when more comes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.uint8Array({ maxLength: 60 }), (head, tail) => {
        const first = readFirstLine(Buffer.from(head));
        if (first.kind === "incomplete") return;
        const whole = readFirstLine(Buffer.concat([head, tail]));
        if (first.kind === "plain") expect(whole).toEqual(first);
      }),
    );
  });
});
