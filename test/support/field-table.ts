import type { CoveredField } from "./field-coverage.ts";

const introduction = `# Fields and their tests

Written by \`npm run crds\` from the schemas and from the comments \`// covers <Kind> <field>, <field>\` above tests; a test fails when it is stale, when a
comment names a field that does not exist, and when a field that is accepted has no test. What the fields mean: [resources.md](resources.md).

A field that holds the same fields as one before it is listed once, with the test that shows that it holds there too.
`;

/** The page \`docs/reference/fields.md\`. */
export function fieldTable(fields: readonly CoveredField[]): string {
  const sections = Map.groupBy(fields, ({ kind }) => kind);
  return `${introduction}${[...sections].map(([kind, own]) => section(kind, own)).join("")}`;
}

function section(kind: string, fields: readonly CoveredField[]): string {
  const listed = fields.filter(({ sameAs, isRefused }) => !isRefused && sameAs !== "");
  const refused = fields.filter(({ sameAs, isRefused }) => isRefused && sameAs !== "");
  const accepted = ["| field | default | tests |", "|---|---|---|", ...listed.map(row)].join("\n");
  if (refused.length === 0) return `\n## ${kind}\n\n${accepted}\n`;
  const later = ["| refused by name | instead |", "|---|---|", ...refused.map(refusedRow)].join("\n");
  return `\n## ${kind}\n\n${accepted}\n\n${later}\n`;
}

function row(field: CoveredField): string {
  const { path, sameAs, tests } = field;
  const name = sameAs === undefined ? `\`${path}\`` : `\`${path}\`, as \`${sameAs}\``;
  const links = tests.map(
    (file) =>
      `[${file
        .split("/")
        .at(-1)!
        .replace(/\.test\.ts$|\.ts$/, "")}](../../${file})`,
  );
  return `| ${name} | ${defaultOf(field)} | ${links.join(", ")} |`;
}

function refusedRow({ path, schema }: CoveredField): string {
  const [, instead = ""] = (schema.description ?? "").split("refused by Weft; ");
  return `| \`${path}\` | ${instead.replaceAll("|", "\\|")} |`;
}

/** What holds when the field is not given, by the words of its description. */
export function defaultOf({ isRequired, isLeaf, schema }: CoveredField): string {
  if (isRequired) return "required";
  const [, said] = /\b(?:[Dd]efault|[Aa]bsent):? ((?:[^.;]|\.(?=\S))+)/.exec(schema.description ?? "") ?? [];
  return said?.replaceAll("|", "\\|") ?? (isLeaf ? "–" : "");
}
