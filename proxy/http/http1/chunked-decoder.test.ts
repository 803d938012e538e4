import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Body } from "../body.ts";
import { ChunkedDecoder } from "./chunked-decoder.ts";
import { lastChunk } from "./head-writer.ts";

function decode(pieces: readonly Buffer[]) {
  const decoder = new ChunkedDecoder();
  const body = new Body(undefined);
  const got: Buffer[] = [];
  body.pipe({ data: (chunk) => got.push(chunk) > 0, end() {}, fail() {} });
  let rest = 0;
  for (const piece of pieces) {
    if (decoder.isDone) rest += piece.length;
    else rest += piece.length - decoder.decode(piece, 0, piece.length, body);
  }
  return { bytes: Buffer.concat(got), rest, decoder };
}

describe("ChunkedDecoder", () => {
  it("gives back any chunks in any cut, and takes not one octet more", () => {
    const property = fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 6 }),
      fc.array(fc.nat({ max: 300 }), { maxLength: 6 }),
      fc.constantFrom("", "X-T: a\r\nY: b\r\n"),
      (chunks, cuts, trailers) => {
        const wire = Buffer.concat([
          ...chunks.map((chunk) =>
            Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from("\r\n")]),
          ),
          Buffer.from(`0\r\n${trailers}\r\nGET`),
        ]);
        const marks = [0, ...cuts.filter((cut) => cut < wire.length).sort((a, b) => a - b), wire.length];
        const { bytes, rest, decoder } = decode(marks.slice(1).map((to, i) => wire.subarray(marks[i], to)));
        expect(decoder.isDone).toBe(true);
        expect(bytes.equals(Buffer.concat(chunks))).toBe(true);
        expect(rest).toBe(3);
        expect(decoder.trailers?.raw).toEqual(trailers === "" ? undefined : ["X-T", "a", "Y", "b"]);
        expect(lastChunk(decoder.trailers)).toBe(`0\r\n${trailers}\r\n`);
      },
    );
    fc.assert(property, { numRuns: 300 });
  });

  it("makes few pieces of many tiny chunks, and leaves large ones where they are", () => {
    const decoder = new ChunkedDecoder();
    const body = new Body(undefined);
    const got: Buffer[] = [];
    body.pipe({ data: (piece) => got.push(piece) > 0, end() {}, fail() {} });
    const large = Buffer.alloc(20_000, "L");
    const tiny = Buffer.from("1\r\nx\r\n".repeat(5_000));
    const wire = Buffer.concat([tiny, Buffer.from("4e20\r\n"), large, Buffer.from("\r\n"), tiny]);
    decoder.decode(wire, 0, wire.length, body);
    expect(got.map((piece) => piece.length)).toEqual([5_000, 25_000]);
    expect(Buffer.concat(got).toString()).toBe("x".repeat(5_000) + "L".repeat(20_000) + "x".repeat(5_000));
    expect(decoder.octets).toBe(30_000);
  });

  it("counts extensions over all chunks of a message", () => {
    const chunk = Buffer.from(`1;${"a".repeat(4_000)}\r\nx\r\n`);
    expect(() => decode([chunk, chunk, chunk, chunk, chunk])).toThrow("chunk_extensions_too_large");
  });

  it("says that the body wants no more, and goes on after a reset", () => {
    const decoder = new ChunkedDecoder();
    const bytes = Buffer.from("1\r\nx\r\n0\r\n\r\n");
    decoder.decode(bytes, 0, bytes.length, new Body(undefined));
    expect(decoder).toMatchObject({ wantsMore: false, isDone: true, octets: 1 });
    decoder.reset();
    expect(decoder).toMatchObject({ wantsMore: true, isDone: false, octets: 0 });
  });
});
