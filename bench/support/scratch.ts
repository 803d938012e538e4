import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

let root: string | undefined;

/** A new empty folder for a peer's files; gone when this process ends. */
export function scratchFolder(): string {
  if (root === undefined) {
    const made = mkdtempSync(join(tmpdir(), "weft-bench-"));
    process.on("exit", () => rmSync(made, { recursive: true, force: true }));
    root = made;
  }
  return mkdtempSync(join(root, "part-"));
}
