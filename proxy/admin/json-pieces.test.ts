import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { jsonPieces } from "./json-pieces.ts";

const print = (value: unknown) => [...jsonPieces(value)].join("");

describe("jsonPieces", () => {
  it("prints every value as JSON.stringify does", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 8 }), (value) => {
        expect(print(value)).toBe(JSON.stringify(value, undefined, 2));
      }),
    );
  });

  it("leaves out what is undefined, and prints bytes as text", () => {
    const value = {
      a: undefined,
      b: { c: undefined, d: [undefined, 1] },
      at: new Date(0),
      bytes: Buffer.from("é"),
    };
    expect(JSON.parse(print(value))).toEqual({
      b: { d: [null, 1] },
      at: "1970-01-01T00:00:00.000Z",
      bytes: "é",
    });
  });

  it("prints a large list in many pieces", () => {
    const hosts = Array.from({ length: 2_000 }, (_, index) => ({
      name: `h${index}`,
      routes: [{ a: { b: {} } }],
    }));
    const pieces = [...jsonPieces({ routes: [{ virtualHosts: hosts }] })];
    expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThan(200);
  });
});
