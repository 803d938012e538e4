import fc from "fast-check";
import { describe, it } from "vitest";
import { parseContentLength } from "./content-length.ts";

describe("parseContentLength", () => {
  it("reads every length below 10^15", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 999_999_999_999_999 }),
        (n) => parseContentLength(String(n)) === n,
      ),
    );
  });

  it("takes nothing but up to 15 digits", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."0123456789+-., x\t_e") }), (text) => {
        const isPlain = /^[0-9]{1,15}$/.test(text);
        return (parseContentLength(text) !== -1) === isPlain;
      }),
    );
  });
});
