import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FieldKind, fieldKind, keptFieldKind } from "./field-kind.ts";
import { HpackDecoder } from "./hpack/decoder.ts";
import { blockOverhead, fieldOverhead, HpackEncoder } from "./hpack/encoder.ts";

const limits = { maxOctets: 60_000, maxFields: 100 };

describe("names between two sidecars", () => {
  it("come out in the case that they had, however often they are sent", () => {
    const name = fc.constantFrom("X-ID", "x-id", "X-Id", "ACCEPT", "accept", "Cookie", "Authorization");
    const value = fc.constantFrom("", "a", "b", "long".repeat(40));
    const blocks = fc.array(fc.array(fc.tuple(name, value), { maxLength: 8 }), { maxLength: 12 });
    fc.assert(
      fc.property(blocks, (sent) => {
        const [encoder, decoder] = [new HpackEncoder(true), new HpackDecoder(limits, true)];
        for (const pairs of sent) {
          const bytes = encode(encoder, pairs);
          expect(decoder.decode(bytes, 0, bytes.length).fields).toEqual(pairs.flat());
        }
      }),
    );
  });

  it("mean the same in any case, and secrets are never indexed", () => {
    expect(keptFieldKind("Content-Length", "1")).toBe(FieldKind.contentLength);
    expect(keptFieldKind("Transfer-Encoding", "chunked")).toBe(FieldKind.connectionSpecific);
    expect(keptFieldKind("X-Own", "a\nb")).toBe(FieldKind.invalid);
    expect(keptFieldKind(":reason", "Very Fine")).toBe(FieldKind.reason);
    expect(fieldKind(":reason", "Very Fine")).toBe(FieldKind.unknownPseudo);
    expect(fieldKind("Content-Length", "1")).toBe(FieldKind.invalid);
    const encoder = new HpackEncoder(true);
    const [first, second] = [1, 2].map(() => encode(encoder, [["Authorization", "secret"]]));
    expect(second!.equals(first!)).toBe(true);
    expect(second![0]! & 0xf0).toBe(0x10);
    expect(encode(encoder, [["Connection", "close"]]).length).toBe(0);
  });
});

function encode(encoder: HpackEncoder, pairs: readonly (readonly [string, string])[]): Buffer {
  const room = pairs.reduce((sum, [name, value]) => sum + name.length + value.length + fieldOverhead, 0);
  const bytes = Buffer.alloc(blockOverhead + room);
  let at = encoder.begin(bytes, 0);
  for (const [name, value] of pairs) at = encoder.field(bytes, at, name, value);
  return bytes.subarray(0, at);
}
