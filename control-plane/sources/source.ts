import type { Problem } from "../../common/base/problem.ts";
import type { Skipped } from "../resources/decode-text.ts";
import type { Resource, ResourceKey } from "../resources/resource.ts";

/** Where objects come from: a folder of files, later a cluster or a registry. */
export interface Source {
  /** Names the source towards the store, such as "config" or "state". */
  readonly name: string;
  /**
   * Reads everything once, hands it to the sink and returns; then keeps telling what changes. A source that cannot be read
   * at the start reports that as a problem and goes on trying.
   */
  start(sink: SourceSink): Promise<void>;
  /** Releases watchers and timers; nothing reaches the sink afterwards. */
  stop(): Promise<void>;
}

/** Takes what a source tells, in order. It does not throw. */
export type SourceSink = (changes: SourceChanges) => void;

/** One consistent step of a source. */
export interface SourceChanges {
  /** The source's name. */
  readonly source: string;
  /** New or changed resources. Each key is at most once in `puts` and `deletes` together. */
  readonly puts: readonly Resource[];
  readonly deletes: readonly ResourceKey[];
  /** All that is wrong or left out at the source now, not only what is new. */
  readonly report: SourceReport;
}

/** What a source's reader should know besides the resources themselves. */
export interface SourceReport {
  /** Of files, documents and fields, in reading order. */
  readonly problems: readonly Problem[];
  /** Objects that are none of the mesh's business. */
  readonly skipped: readonly Skipped[];
  /** Resources that live in an older version, because what the source holds now is refused or cannot be read. */
  readonly stale: readonly ResourceKey[];
}
