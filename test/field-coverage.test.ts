import { describe, expect, it } from "vitest";
import { fieldCoverage } from "./support/field-coverage.ts";

/** Fields that no test names yet. May only become less. */
const mostWithoutTest = 60;

describe("the fields of all kinds", () => {
  const { fields, problems } = fieldCoverage();

  it("are named by tests as the schemas name them", () => {
    expect(problems).toEqual([]);
  });

  it("each have a test that shows what they do", () => {
    const missing = fields.filter(({ needsTest, tests }) => needsTest && tests.length === 0);
    const names = missing.map(({ kind, path }) => `${kind} ${path}`);
    expect(names.length, `without a test: ${names.join(", ")}`).toBeLessThanOrEqual(mostWithoutTest);
  });
});
