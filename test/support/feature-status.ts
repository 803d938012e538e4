import { existsSync } from "node:fs";
import { decodeText } from "../../control-plane/resources/decode-text.ts";
import type { FeatureRow } from "./feature-rows.ts";
import { featureRows } from "./feature-rows.ts";
import type { CoveredField } from "./field-coverage.ts";

/** A row with what holds of it now. */
export interface FeatureStatus {
  readonly feature: string;
  readonly works: boolean;
  readonly tests: readonly string[];
  /** What is refused, and in which words. */
  readonly refusals: readonly string[];
  readonly note: string | undefined;
  /** Why the row proves nothing: a field that is not there, or something that works and that no test shows. */
  readonly problems: readonly string[];
}

/** Every row of `featureRows`, by section, as the schemas and the tests have it. */
export function featureStatus(
  fields: readonly CoveredField[],
): ReadonlyMap<string, readonly FeatureStatus[]> {
  return new Map(
    Object.entries(featureRows).map(([section, rows]) => [section, rows.map((row) => statusOf(row, fields))]),
  );
}

const introduction = `# What works, what is refused

Written by \`npm run crds\` from [a list of what meshes offer](../../test/support/feature-rows.ts), the schemas, and the control plane's own answers to documents that
ask for it; a test fails when a row neither works, shown by a test, nor is refused by name. Single fields: [fields.md](fields.md).
`;

/** The page \`docs/reference/feature-status.md\`. */
export function featurePage(sections: ReadonlyMap<string, readonly FeatureStatus[]>): string {
  const parts = Array.from(sections, ([section, rows]) => {
    const lines = rows.map(({ feature, works, tests, refusals, note }) => {
      const links = tests.map(
        (file) => `[${file.split("/").at(-1)!.replace(".test.ts", "")}](../../${file})`,
      );
      const says = [...refusals, ...(note === undefined ? [] : [note])].join("; ").replaceAll("|", "\\|");
      return `| ${feature} | ${works ? "yes" : note === undefined ? "refused" : "–"} | ${links.join(", ")} | ${says} |`;
    });
    return `\n## ${section}\n\n| feature | works | shown by | refused, or why not |\n|---|---|---|---|\n${lines.join("\n")}\n`;
  });
  return introduction + parts.join("");
}

function statusOf(row: FeatureRow, all: readonly CoveredField[]): FeatureStatus {
  const named = [...(row.tests ?? []), ...(row.shownBy ?? [])];
  const problems = named.flatMap((file) => (existsSync(file) ? [] : [`${row.feature}: there is no ${file}`]));
  const tests = new Set(row.tests);
  const refusals: string[] = [];
  let works = row.tests !== undefined;
  for (const wanted of row.fields ?? []) {
    const found = all.filter((field) => isAtOrBelow(`${field.kind} ${field.path}`, wanted));
    if (found.length === 0) problems.push(`${row.feature}: there is no field ${wanted}`);
    const accepted = found.filter(({ isRefused }) => !isRefused);
    if (accepted.length > 0) works = true;
    for (const field of accepted) for (const file of field.tests) tests.add(file);
    for (const { path, isRefused, sameAs } of found)
      if (isRefused && sameAs !== "") refusals.push(`\`${path}\``);
  }
  for (const [name, document] of Object.entries(row.probes ?? {})) {
    const [problem] = decodeText(document, "probe.yaml").problems;
    if (problem === undefined) works = true;
    else refusals.push(`\`${name}\`: ${problem.why}`);
  }
  if (works) for (const file of row.shownBy ?? []) tests.add(file);
  if (works && tests.size === 0) problems.push(`${row.feature}: works, and no test shows it`);
  if (!works && refusals.length === 0 && row.note === undefined)
    problems.push(`${row.feature}: neither works nor is refused`);
  return { feature: row.feature, works, tests: [...tests].sort(), refusals, note: row.note, problems };
}

function isAtOrBelow(field: string, wanted: string): boolean {
  return field === wanted || [".", "[", "{"].some((next) => field.startsWith(wanted + next));
}
