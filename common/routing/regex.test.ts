import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { maxRegexLength, Regex, regexProblem } from "./regex.ts";

describe("Regex", () => {
  it.each(["(a+)+$", "(a|aa)+$", "(.*a){12}", "^(([a-z])+.)+[A-Z]([a-z])+$"])(
    "answers in linear time for %s",
    (pattern) => {
      const regex = new Regex(pattern);
      // An engine that backtracks needs longer than the universe has for this.
      const input = `${"a".repeat(20_000)}!`;
      expect(regex.matches(input)).toBe(false);
      expect(regex.matches(`${input}\u00ff`)).toBe(false);
    },
  );

  it("never throws or hangs, whatever bytes it reads", () => {
    const regex = new Regex("(a+|\\x{e4}+|.)*b");
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const text = String.fromCharCode(...bytes);
        expect(regex.matches(`${text}b`) || text.includes("\n")).toBe(true);
      }),
    );
  });

  it("reads input as UTF-8", () => {
    expect(new Regex("ä").matches("\u00c3\u00a4")).toBe(true);
    expect(new Regex("..").matches("\u00c3\u00a4")).toBe(false);
  });

  it.each([
    ["a".repeat(maxRegexLength + 1), /1025 characters, the limit is 1024/],
    ["(a)\\1", /not valid RE2: invalid escape sequence/],
    ["(?=a)", /not valid RE2/],
    ["(a", /missing closing \)/],
    ["((((a{100}){100}){100}){100}", /invalid repeat count/],
    ["(?:.{999}b{999}c{999})", /too complex/],
  ])("case 51: refuses %s", (pattern, why) => {
    expect(regexProblem(pattern)).toMatch(why);
  });

  it("has nothing against a pattern that is fine", () => {
    expect(regexProblem("/api/v[0-9]+/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")).toBeUndefined();
    expect(regexProblem("a".repeat(maxRegexLength))).toBeUndefined();
  });
});
