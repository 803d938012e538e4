import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { huffmanOctets, readHuffman, writeHuffman } from "./huffman.ts";
import { huffmanLengths } from "./huffman-lengths.ts";

const coded = (text: string) => {
  const bytes = Buffer.alloc(huffmanOctets(text));
  expect(writeHuffman(bytes, 0, text)).toBe(bytes.length);
  return bytes;
};

describe("HPACK's Huffman code", () => {
  it("is complete: every string of bits is a code's or the beginning of one", () => {
    expect(huffmanLengths.length).toBe(257);
    expect(huffmanLengths.reduce((sum, bits) => sum + 2 ** -bits, 0)).toBe(1);
  });

  // RFC 7541 appendix C.4 and C.6.
  it.each([
    ["www.example.com", "f1e3c2e5f23a6ba0ab90f4ff"],
    ["no-cache", "a8eb10649cbf"],
    ["custom-value", "25a849e95bb8e8b4bf"],
    ["Mon, 21 Oct 2013 20:13:21 GMT", "d07abe941054d444a8200595040b8166e082a62d1bff"],
    [
      "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
      "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
    ],
  ])("codes %j as the RFC does", (text, hex) => {
    expect(coded(text).toString("hex")).toBe(hex);
    expect(readHuffman(Buffer.from(hex, "hex"), 0, hex.length / 2)).toBe(text);
  });

  it("gives back what it was given, whatever octets", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (octets) => {
        const text = Buffer.from(octets).toString("latin1");
        const bytes = coded(text);
        expect(readHuffman(bytes, 0, bytes.length)).toBe(text);
      }),
    );
  });

  it.each([
    ["padding of 11 bits", "1fff"],
    ["padding of zeros", "18"],
    ["the end-of-string mark", "ffffffff"],
  ])("refuses %s", (_what, hex) => {
    const bytes = Buffer.from(hex, "hex");
    expect(() => readHuffman(bytes, 0, bytes.length)).toThrow(/invalid_huffman/);
  });
});
