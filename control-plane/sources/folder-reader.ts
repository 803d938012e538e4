import type { BigIntStats } from "node:fs";
import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Problem } from "../../common/base/problem.ts";
import { textLimits } from "../resources/decode-text.ts";

/** What a folder holds now, as far as it could be read. */
export interface FolderListing {
  /** By path relative to the root, with `/` between; sorted. */
  readonly files: ReadonlyMap<string, FoundFile>;
  /** Folders (relative, "" for the root) that could not be listed: what was known below them must stay. */
  readonly unreadable: readonly string[];
  readonly problems: readonly Problem[];
}

export interface FoundFile {
  readonly path: string;
  /** Changes whenever the file's content may have changed. */
  readonly stamp: string;
  readonly bytes: number;
}

const maxFolderDepth = 32;
const maxFiles = 20_000;

/** Lists the YAML and JSON files of a folder at any depth, or the one file that `root` is. Hidden names are left out. */
export async function listFolder(root: string): Promise<FolderListing> {
  const files = new Map<string, FoundFile>();
  const unreadable: string[] = [];
  const problems: Problem[] = [];
  const visited = new Set<string>();

  const fail = (path: string, name: string, error: unknown): void => {
    unreadable.push(name);
    const hint = "what was read from it before stays live";
    problems.push({ path: "", why: `cannot be read: ${reasonOf(error)}`, hint, at: { file: path, line: 1 } });
  };
  const visit = async (folder: string, name: string, depth: number): Promise<void> => {
    const real = await realpath(folder);
    // A link to a folder above would go round for ever.
    if (visited.has(real) || depth > maxFolderDepth) return;
    visited.add(real);
    const entries = (await readdir(folder)).filter((entry) => !entry.startsWith(".")).sort();
    // All at once: one after the other, thousands of files take as long as a change is to take in all.
    const looks = entries.map((entry) => stat(join(folder, entry), { bigint: true }));
    await Promise.allSettled(looks);
    for (const [index, entry] of entries.entries()) {
      if (files.size >= maxFiles) throw new Error(`it holds more than ${maxFiles} files`);
      const path = join(folder, entry);
      const inner = name === "" ? entry : `${name}/${entry}`;
      try {
        const stats = await looks[index]!;
        if (stats.isDirectory()) await visit(path, inner, depth + 1);
        else if (stats.isFile() && isResourceFile(entry)) files.set(inner, found(path, stats));
      } catch (error) {
        // Gone between the listing and now is the same as never seen.
        if (codeOf(error) !== "ENOENT") fail(path, inner, error);
      }
    }
  };
  try {
    const stats = await stat(root, { bigint: true });
    if (stats.isDirectory()) await visit(root, "", 0);
    else files.set(basename(root), found(root, stats));
  } catch (error) {
    fail(root, "", error);
  }
  return { files, unreadable, problems };
}

/** The text of a file, or why there is none. A file over the size limit is not read. */
export async function readText(
  file: FoundFile,
): Promise<{ readonly text: string } | { readonly why: string }> {
  if (file.bytes > textLimits.maxBytes)
    return { why: `the file has ${file.bytes} bytes: the limit is ${textLimits.maxBytes}` };
  try {
    return { text: await readFile(file.path, "utf8") };
  } catch (error) {
    return { why: `cannot be read: ${reasonOf(error)}` };
  }
}

/** True for names that may hold resources. */
function isResourceFile(name: string): boolean {
  return /\.(ya?ml|json)$/i.test(name);
}

function found(path: string, stats: BigIntStats): FoundFile {
  return {
    path,
    stamp: `${stats.ino}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`,
    bytes: Number(stats.size),
  };
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}

function reasonOf(error: unknown): string {
  const code = codeOf(error);
  if (code === "ENOENT") return "it does not exist";
  if (code === "EACCES" || code === "EPERM") return "permission denied";
  return error instanceof Error ? error.message : String(error);
}
