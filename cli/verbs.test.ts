import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { verbs } from "./verbs.ts";

const page = readFileSync("docs/reference/command.md", "utf8");
const sections = new Map(
  page
    .split(/^## weft /m)
    .slice(1)
    .map((section) => [section.slice(0, section.indexOf("\n")), section]),
);

describe("docs/reference/command.md", () => {
  it("it has a section for each verb and no other", () => {
    expect([...sections.keys()]).toEqual(Object.keys(verbs));
  });

  it.each(Object.keys(verbs))("it names the options of weft %s, and no others", async (name) => {
    const command = await verbs[name]!();
    const rows = (sections.get(name) ?? "").split("\n").filter((line) => line.startsWith("| `--"));
    const documented = rows.flatMap((row) =>
      [...row.split("|")[1]!.matchAll(/`(--[a-z0-9-]+)`/g)].map(([, option]) => option),
    );
    expect(documented.sort()).toEqual(command.options.map(({ long }) => long).sort());
  });
});
