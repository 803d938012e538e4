import { isDeepStrictEqual } from "node:util";
import type { Problem } from "../../common/base/problem.ts";
import type { DecodedText, Skipped } from "../resources/decode-text.ts";
import type { Resource, ResourceKey } from "../resources/resource.ts";
import { formatKey } from "../resources/resource.ts";

/** What one file gives to the mesh: its present resources, and the last good version of those that it holds in bad form. */
export interface FileMemory {
  readonly resources: ReadonlyMap<string, Resource>;
  readonly problems: readonly Problem[];
  readonly skipped: readonly Skipped[];
  readonly stale: readonly ResourceKey[];
}

export const emptyMemory: FileMemory = { resources: new Map(), problems: [], skipped: [], stale: [] };

/**
 * A file's memory after reading it again. A resource leaves when the file no longer mentions it; while some document does not
 * say what it is, it may be the missing one, so then nothing leaves.
 */
export function remember(before: FileMemory, decoded: DecodedText): FileMemory {
  const resources = new Map<string, Resource>();
  const problems = [...decoded.problems];
  const stale: ResourceKey[] = [];
  for (const resource of decoded.resources) {
    const key = formatKey(resource);
    const first = resources.get(key);
    if (first) problems.push(duplicateProblem(resource, first));
    else resources.set(key, continued(before.resources.get(key), resource));
  }
  const refused = new Set(decoded.refused.map(formatKey));
  for (const [key, resource] of before.resources) {
    if (resources.has(key) || !(decoded.hasUnnamed || refused.has(key))) continue;
    resources.set(key, resource);
    stale.push(keyOf(resource));
  }
  return { resources, problems, skipped: decoded.skipped, stale };
}

/** Everything stays, because the file cannot be read at present. */
export function keepAll(before: FileMemory, problem: Problem): FileMemory {
  return { ...before, problems: [problem], stale: keysOf(before) };
}

/** The keys of all that a file gives. */
export function keysOf(memory: FileMemory): readonly ResourceKey[] {
  return [...memory.resources.values()].map(keyOf);
}

/** True when reading `decoded` would take a resource away. */
export function losesResources(before: FileMemory, decoded: DecodedText): boolean {
  const after = remember(before, decoded);
  return [...before.resources.keys()].some((key) => !after.resources.has(key));
}

/** Two objects of one name: the older stays, so that adding a file never changes what runs. */
export function duplicateProblem(resource: Resource, first: Resource): Problem {
  const { file, line } = first.source;
  const { file: ownFile, line: ownLine } = resource.source;
  return {
    path: "metadata.name",
    why: `${formatKey(resource)} is already defined at ${file}:${line}, which stays`,
    hint: "remove one of the two",
    ...(ownFile === undefined ? {} : { at: { file: ownFile, line: ownLine ?? 1 } }),
  };
}

/** The same object as before when nothing about it changed, else the new one with the old age. */
function continued(before: Resource | undefined, after: Resource): Resource {
  if (before === undefined) return after;
  const aged = { ...after, createdAt: before.createdAt };
  return isDeepStrictEqual(before, aged) ? before : aged;
}

function keyOf({ kind, namespace, name }: ResourceKey): ResourceKey {
  return { kind, namespace, name };
}
