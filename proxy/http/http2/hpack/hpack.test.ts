import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Http2Error } from "../frame.ts";
import { HpackDecoder } from "./decoder.ts";
import { blockOverhead, fieldOverhead, HpackEncoder } from "./encoder.ts";

const limits = { maxOctets: 1 << 20, maxFields: 1_000 };

function encode(encoder: HpackEncoder, fields: readonly string[]): Buffer {
  const room = fields.reduce((sum, text) => sum + text.length + fieldOverhead, blockOverhead);
  const bytes = Buffer.alloc(room);
  let at = encoder.begin(bytes, 0);
  for (let i = 0; i < fields.length; i += 2) at = encoder.field(bytes, at, fields[i]!, fields[i + 1]!);
  return bytes.subarray(0, at);
}

const decodeHex = (decoder: HpackDecoder, hex: string) => {
  const bytes = Buffer.from(hex.replaceAll(" ", ""), "hex");
  return decoder.decode(bytes, 0, bytes.length).fields;
};

describe("a decoder", () => {
  // RFC 7541 appendix C.4: three requests on one connection.
  it("reads the RFC's requests with their table", () => {
    const decoder = new HpackDecoder(limits);
    const first = [":method", "GET", ":scheme", "http", ":path", "/", ":authority", "www.example.com"];
    expect(decodeHex(decoder, "828684418cf1e3c2e5f23a6ba0ab90f4ff")).toEqual(first);
    expect(decodeHex(decoder, "828684be5886a8eb10649cbf")).toEqual([...first, "cache-control", "no-cache"]);
    expect(decodeHex(decoder, "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf")).toEqual([
      ...[":method", "GET", ":scheme", "https", ":path", "/index.html", ":authority", "www.example.com"],
      ...["custom-key", "custom-value"],
    ]);
  });

  it("finds a block that only refers to tables by its bytes, until the table changes", () => {
    const decoder = new HpackDecoder(limits);
    decodeHex(decoder, "4001610162");
    const bytes = Buffer.from("82be", "hex");
    const first = decoder.decode(bytes, 0, 2);
    expect(decoder.decode(bytes, 0, 2)).toBe(first);
    decodeHex(decoder, "4001610163");
    expect(decoder.decode(bytes, 0, 2).fields).toEqual([":method", "GET", "a", "c"]);
  });

  it("keeps nothing of a list beyond its limit, and its table right", () => {
    const decoder = new HpackDecoder({ maxOctets: 200, maxFields: 100 });
    const big = decodeHex(decoder, `4001610164${"be".repeat(1_000)}`);
    expect(big).toEqual([]);
    expect(decodeHex(decoder, "be")).toEqual(["a", "d"]);
  });

  it("counts cookies by their octets only, other fields by their number too", () => {
    const decoder = new HpackDecoder({ maxOctets: 10_000, maxFields: 3 });
    const bytes = Buffer.from("a0".repeat(20), "hex");
    expect(decoder.decode(bytes, 0, bytes.length).isTooLarge).toBe(false);
    const others = Buffer.from("8f".repeat(4), "hex");
    expect(decoder.decode(others, 0, 4).isTooLarge).toBe(true);
  });

  it.each([
    ["index 0", "80"],
    ["an index beyond the table", "be"],
    ["an integer without end", "ffffffffffff"],
    ["a text that is cut off", "400a61"],
    ["a size beyond the one allowed", "3fe21f"],
    ["a size in the middle", "8220"],
  ])("refuses %s", (_what, hex) => {
    expect(() => decodeHex(new HpackDecoder(limits), hex)).toThrow(Http2Error);
  });

  it("never throws anything else, whatever comes", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 5 }), (blocks) => {
        const decoder = new HpackDecoder({ maxOctets: 500, maxFields: 20 });
        try {
          for (const block of blocks) {
            const { fields, kinds } = decoder.decode(Buffer.from(block), 0, block.length);
            expect(fields.length).toBe(kinds.length * 2);
          }
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(Http2Error);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("an encoder and a decoder", () => {
  const name = fc.constantFrom(":path", "accept", "x-a", "x-b", "x-c", "cookie", "authorization", "x-long");
  const value = fc.oneof(
    fc.constantFrom("", "/", "one", "two", "x".repeat(600)),
    fc
      .string({
        unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
        maxLength: 40,
      })
      .map((text) => text.trim()),
  );
  const block = fc.array(fc.tuple(name, value), { maxLength: 8 }).map((pairs) => pairs.flat());

  it("agree on every block of a connection, through changes of the table's size", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(block, fc.option(fc.constantFrom(0, 64, 200, 4_096))), { maxLength: 30 }),
        (steps) => {
          const encoder = new HpackEncoder();
          const decoder = new HpackDecoder(limits);
          for (const [fields, size] of steps) {
            if (size !== null) encoder.limitTable(size);
            const bytes = encode(encoder, fields);
            expect(decoder.decode(bytes, 0, bytes.length).fields).toEqual(fields);
          }
        },
      ),
    );
  });

  it("come to one octet a field for what is sent again and again", () => {
    const encoder = new HpackEncoder();
    const fields = [":status", "200", "content-type", "text/plain", "x-served-by", "v1"];
    for (let i = 0; i < 3; i++) encode(encoder, fields);
    expect(encode(encoder, fields).length).toBe(3);
  });

  it("leave out of the table what is secret and what is new each time", () => {
    const encoder = new HpackEncoder();
    const sizes = Array.from(
      { length: 20 },
      (_, i) =>
        encode(encoder, ["authorization", "Bearer a.b.c", "x-request-id", `id-${i}-${"0".repeat(20)}`])
          .length,
    );
    expect(Math.min(...sizes)).toBeGreaterThan(40);
    expect(encode(encoder, ["authorization", "Bearer a.b.c"])[0]! & 0xf0).toBe(0x10);
  });

  it("write names in lower case and leave out what HTTP/2 has no place for", () => {
    const bytes = encode(new HpackEncoder(), [
      "Content-Type",
      "a",
      "Connection",
      "close",
      "TE",
      "gzip",
      "te",
      "trailers",
      "Host",
      "b",
    ]);
    expect(new HpackDecoder(limits).decode(bytes, 0, bytes.length).fields).toEqual([
      "content-type",
      "a",
      "te",
      "trailers",
    ]);
  });
});
