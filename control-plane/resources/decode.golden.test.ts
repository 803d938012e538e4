import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { formatProblem } from "../../common/base/problem.ts";
import type { Source } from "../../common/model/source.ts";
import { formatSource } from "../../common/model/source.ts";
import { decodeText } from "./decode-text.ts";
import { formatKey } from "./resource.ts";

/**
 * Each `<sentence>.in.yaml` proves its sentence: `<sentence>.out.json` holds what it compiled to and every problem as a user
 * reads it. Refreshed by `npm run golden -- --update`.
 */
const here = fileURLToPath(new URL(".", import.meta.url));
const folders = [
  "",
  "virtual-service",
  "destination-rule",
  "service-entry",
  "workload-entry",
  "gateway",
  "sidecar",
  "circuit-breaker",
  "peer-authentication",
  "rate-limit",
  "fault",
  "health-check",
];

describe.each(folders)("documents in resources/%s", (folder) => {
  const testdata = join(here, folder, "testdata");
  const cases = readdirSync(testdata).filter((name) => name.endsWith(".in.yaml"));
  it.each(cases)("%s", async (name) => {
    const decoded = decodeText(readFileSync(join(testdata, name), "utf8"), name);
    const shown = {
      resources: decoded.resources.map((resource) => ({
        key: formatKey(resource),
        compiled: resource.compiled,
      })),
      problems: decoded.problems.map((problem) => `${problem.severity ?? "error"} ${formatProblem(problem)}`),
      skipped: decoded.skipped.map((skipped) => `${skipped.at.line}: ${skipped.why}`),
      refused: decoded.refused.map(formatKey),
    };
    const out = join(testdata, `${basename(name, ".in.yaml")}.out.json`);
    await expect(`${JSON.stringify(shown, plain, 2)}\n`).toMatchFileSnapshot(out);
  });
});

/** Sources as one line, maps as objects, bytes as text. */
function plain(key: string, value: unknown): unknown {
  if (key === "source") return formatSource(value as Source);
  if (value instanceof Map) return Object.fromEntries(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString();
  return value;
}
