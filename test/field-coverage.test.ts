import { describe, expect, it } from "vitest";
import { featureStatus } from "./support/feature-status.ts";
import { fieldCoverage } from "./support/field-coverage.ts";

/** Fields that no test names yet. May only become less. */
const mostWithoutTest = 150;
/** Features that other meshes have and that neither a test nor a refusal speaks of yet. May only become less. */
const mostUnproven = 12;

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

describe("what other meshes offer", () => {
  it("works and has a test that shows it, or is refused by name", () => {
    const rows = [...featureStatus(fieldCoverage().fields).values()].flat();
    const problems = rows.flatMap((row) => row.problems);
    expect(problems.length, problems.join("; ")).toBeLessThanOrEqual(mostUnproven);
  });
});
