import type { Problem } from "../common/base/problem.ts";
import type { Resource } from "../control-plane/resources/resource.ts";
import { formatKey } from "../control-plane/resources/resource.ts";
import type { Snapshot } from "../control-plane/snapshot/snapshot.ts";
import { readFiles } from "./read-files.ts";

/** What lies in some files, read as the control plane would read it. */
export interface LoadedResources {
  readonly resources: readonly Resource[];
  readonly snapshot: Snapshot;
  /** Errors: of single resources, and with `together` of references between them. */
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

/** Decodes every resource in the paths and joins them to a snapshot. Of two with one name the later wins, as when applied. */
export async function loadResources(
  verb: string,
  paths: readonly string[],
  { together }: { readonly together: boolean },
): Promise<LoadedResources> {
  const [{ decodeText }, { buildSnapshot }] = await Promise.all([
    import("../control-plane/resources/decode-text.ts"),
    import("../control-plane/snapshot/build.ts"),
  ]);
  const byKey = new Map<string, Resource>();
  const found: Problem[] = [];
  for (const path of paths) {
    for (const { file, text } of await readFiles(verb, path)) {
      const decoded = decodeText(text, file);
      found.push(...decoded.problems);
      for (const resource of decoded.resources) byKey.set(formatKey(resource), resource);
    }
  }
  const resources = [...byKey.values()];
  const snapshot = buildSnapshot(resources);
  if (together) found.push(...snapshot.problems);
  return {
    resources,
    snapshot,
    problems: found.filter((problem) => !isWarning(problem)),
    warnings: found.filter(isWarning),
  };
}

function isWarning({ severity = "error" }: Problem): boolean {
  return severity !== "error";
}
