import { readdir, readFile, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { text as readText } from "node:stream/consumers";
import { wrongUse } from "./cli-error.ts";

/** A file of resources as the user named it. */
export interface ResourceFile {
  readonly file: string;
  readonly text: string;
}

const extensions = new Set([".yaml", ".yml", ".json"]);

/**
 * Reads what a path names: a file, all YAML and JSON files of a folder at any depth (in the order of their names, hidden ones
 * and node_modules left out), or `-` for standard input. Wrong use when there is none.
 */
export async function readFiles(verb: string, path: string): Promise<readonly ResourceFile[]> {
  if (path === "-") return [{ file: "<stdin>", text: await readText(process.stdin) }];
  try {
    if (!(await stat(path)).isDirectory()) return [await readOne(path)];
    const files = await Promise.all((await listFolder(path)).map(readOne));
    if (files.length > 0) return files;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw wrongUse(
      `weft ${verb}: cannot read ${path}: ${code === "ENOENT" ? "there is no such file or folder" : message}`,
    );
  }
  throw wrongUse(`weft ${verb}: there is no .yaml, .yml or .json file in ${path}`);
}

async function readOne(file: string): Promise<ResourceFile> {
  return { file, text: await readFile(file, "utf8") };
}

async function listFolder(folder: string): Promise<readonly string[]> {
  const entries = (await readdir(folder, { withFileTypes: true })).sort((a, b) => (a.name < b.name ? -1 : 1));
  const found = await Promise.all(
    entries.map(async (entry): Promise<readonly string[]> => {
      const path = join(folder, entry.name);
      if (entry.name.startsWith(".") || entry.name === "node_modules") return [];
      if (entry.isDirectory()) return listFolder(path);
      return extensions.has(extname(entry.name)) ? [path] : [];
    }),
  );
  return found.flat();
}
