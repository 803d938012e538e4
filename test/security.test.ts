import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

/** Rows of docs/security.md: the cases, and the file whose tests name them. */
const rows = [
  ...readFileSync("docs/security.md", "utf8").matchAll(/^\| (\d+)(?:–(\d+))? \|.*\]\(\.\.\/([^)]+)\) \|$/gm),
].map(([, first, last = first, file]) => ({ first: Number(first), last: Number(last), file: file! }));

describe("docs/security.md", () => {
  it("names for each case a file with a test that carries its number", () => {
    const missing = rows.flatMap(({ first, last, file }) => {
      const text = readFileSync(file, "utf8");
      const cases = Array.from({ length: last - first + 1 }, (_, index) => first + index);
      return cases
        .filter((number) => !new RegExp(`["\`]case ${number}\\b`).test(text))
        .map((number) => `${number} in ${file}`);
    });
    expect(rows.length).toBeGreaterThan(10);
    expect(missing).toEqual([]);
  });
});
