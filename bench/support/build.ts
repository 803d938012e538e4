import { fileURLToPath } from "node:url";
import { runChild } from "./children.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Builds `dist/` from the sources, so that what is measured is what is there. Rejects when they do not compile. */
export async function build(): Promise<void> {
  try {
    await runChild("npm", ["run", "--silent", "build"], { cwd: root, timeoutMs: 120_000 });
  } catch (cause) {
    throw new Error("npm run build failed; --sources measures the sources as they are", { cause });
  }
}
