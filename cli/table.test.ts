import { describe, expect, it } from "vitest";
import { formatAge, formatTable } from "./table.ts";

describe("formatTable", () => {
  it("it makes columns as wide as their widest cell", () => {
    expect(
      formatTable(
        ["A", "LONG"],
        [
          ["value", ""],
          ["x", "y"],
        ],
      ),
    ).toBe("A      LONG\nvalue\nx      y\n");
  });
});

describe("formatAge", () => {
  it.each([
    [-5, "0s"],
    [59_999, "59s"],
    [60_000, "1m"],
    [7_200_000, "2h"],
    [172_800_000, "2d"],
  ])("it writes %i ms as %s", (ms, text) => {
    expect(formatAge(ms)).toBe(text);
  });
});
