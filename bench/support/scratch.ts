import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

let root: string | undefined;

/** A new empty folder for a peer's files; gone when this process ends or `removeScratch` is called. */
export function scratchFolder(): string {
  if (root === undefined) {
    root = mkdtempSync(join(tmpdir(), "weft-bench-"));
    process.once("exit", removeScratch);
  }
  return mkdtempSync(join(root, "part-"));
}

/** Called when a scenario ends, because a test's process may be killed rather than end. */
export function removeScratch(): void {
  process.off("exit", removeScratch);
  if (root !== undefined) rmSync(root, { recursive: true, force: true });
  root = undefined;
}
