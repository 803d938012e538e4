import { readFileSync } from "node:fs";

/** The package's version. package.json lies one folder up from the sources, two from dist. */
export function version(): string {
  for (const path of ["../package.json", "../../package.json"]) {
    try {
      const text = readFileSync(new URL(path, import.meta.url), "utf8");
      return String((JSON.parse(text) as { version?: unknown }).version);
    } catch {
      // The other place, then.
    }
  }
  return "unknown";
}
