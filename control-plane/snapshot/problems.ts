import type { FilePosition, Problem } from "../../common/base/problem.ts";
import type { Source } from "../../common/model/source.ts";
import type { Resource, ResourceKey } from "../resources/resource.ts";

/** A problem together with the resource that its author has to look at. */
export interface ResourceProblem extends Problem {
  readonly resource: ResourceKey;
}

/** A change that is not live yet because it would leave a reference pointing to nothing. */
export interface Held {
  readonly key: ResourceKey;
  /** The version that waits; absent when what waits is the removal of the resource. */
  readonly desired?: Resource;
  /** The version that stays live meanwhile; absent when there was none. */
  readonly live?: Resource;
  /** At least one, all errors. */
  readonly problems: readonly ResourceProblem[];
}

/** Where to look: the rule's line where the resource came from a file. Spread it into a problem. */
export function positionOf(source: Source): { readonly at?: FilePosition } {
  if (source.file === undefined) return {};
  return { at: { file: source.file, line: source.line ?? 1 } };
}

/** The key alone, so that problems don't keep whole resources alive. */
export function keyOf({ kind, namespace, name }: ResourceKey): ResourceKey {
  return { kind, namespace, name };
}
