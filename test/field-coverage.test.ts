import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { featurePage, featureStatus } from "./support/feature-status.ts";
import { fieldCoverage } from "./support/field-coverage.ts";
import { fieldTable } from "./support/field-table.ts";

const { fields, problems } = fieldCoverage();
const features = featureStatus(fields);

describe("the fields of all kinds", () => {
  it("are named by tests as the schemas name them", () => {
    expect(problems).toEqual([]);
  });

  it("each have a test that shows what they do (above it: // covers <Kind> <field>)", () => {
    const missing = fields.filter(({ needsTest, tests }) => needsTest && tests.length === 0);
    expect(missing.map(({ kind, path }) => `${kind} ${path}`)).toEqual([]);
  });

  it("stand in docs/reference/fields.md (else: npm run crds)", () => {
    expect(readFileSync("docs/reference/fields.md", "utf8")).toBe(fieldTable(fields));
  });
});

describe("what other meshes offer", () => {
  it("works and has a test that shows it, or is refused by name", () => {
    expect([...features.values()].flat().flatMap((row) => row.problems)).toEqual([]);
  });

  it("stands in docs/reference/feature-status.md (else: npm run crds)", () => {
    expect(readFileSync("docs/reference/feature-status.md", "utf8")).toBe(featurePage(features));
  });
});
