import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readFiles } from "./read-files.ts";

const folder = mkdtempSync(join(tmpdir(), "weft-read-files-"));
afterAll(() => rmSync(folder, { recursive: true }));

function write(path: string): void {
  mkdirSync(join(folder, path, ".."), { recursive: true });
  writeFileSync(join(folder, path), path);
}

describe("readFiles", () => {
  it("it reads a folder at any depth in the order of names, and only what holds resources", async () => {
    for (const path of [
      "b.yml",
      "a/deep/er.yaml",
      "c.json",
      ".hidden/x.yaml",
      "node_modules/x.yaml",
      "notes.md",
    ])
      write(path);
    const files = await readFiles("apply", folder);
    expect(files.map(({ file, text }) => [relative(folder, file), text])).toEqual(
      ["a/deep/er.yaml", "b.yml", "c.json"].map((path) => [path, path]),
    );
  });

  it("it reads a single file whatever its name", async () => {
    write("notes.md");
    expect(await readFiles("apply", join(folder, "notes.md"))).toHaveLength(1);
  });

  it("it says when a folder holds nothing to read", async () => {
    mkdirSync(join(folder, "empty"));
    await expect(readFiles("apply", join(folder, "empty"))).rejects.toThrow(
      /no \.yaml, \.yml or \.json file in/,
    );
  });
});
