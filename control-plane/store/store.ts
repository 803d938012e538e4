import { isDeepStrictEqual } from "node:util";
import type { Problem } from "../../common/base/problem.ts";
import type { Skipped } from "../resources/decode-text.ts";
import type { Kind, Resource, ResourceKey } from "../resources/resource.ts";
import { formatKey, kinds } from "../resources/resource.ts";

/** One step of one source, as `sources/source.ts` says it. */
export interface StoreInput {
  readonly source: string;
  readonly puts: readonly Resource[];
  readonly deletes: readonly ResourceKey[];
  readonly report: StoreReport;
}

/** All that is wrong or left out at one source now. */
export interface StoreReport {
  readonly problems: readonly Problem[];
  readonly skipped: readonly Skipped[];
  /** Resources that live in an older version than the source holds. */
  readonly stale: readonly ResourceKey[];
}

/** What a step did to the resources that count. */
export interface StoreChange {
  /** Grows by one with each step that changed a resource. */
  readonly version: number;
  /** New, or with other content or another place than before. */
  readonly put: readonly Resource[];
  readonly removed: readonly ResourceKey[];
  /** True when problems, skipped objects or stale keys changed. */
  readonly reportChanged: boolean;
}

export type StoreListener = (change: StoreChange) => void;

/** All current resources, each in its last good version. */
export interface Store {
  readonly version: number;
  /** Takes a step, tells the listeners when it changed anything, and returns what it changed. */
  apply(input: StoreInput): StoreChange;
  get(key: ResourceKey): Resource | undefined;
  /** In the order of kinds, then by namespace and name. */
  list(kind?: Kind): readonly Resource[];
  /** The source whose version counts; undefined for an unknown key. */
  sourceOf(key: ResourceKey): string | undefined;
  /** By source, in order of precedence. */
  reports(): ReadonlyMap<string, StoreReport>;
  /** The result ends the subscription. */
  subscribe(listener: StoreListener): () => void;
}

/**
 * `sources` in order of precedence: when two hold the same key, the first one's version counts, and when it lets go the
 * next one's comes back. So what is applied through the API shadows the folder of configuration.
 */
export function createStore(sources: readonly string[]): Store {
  return new LayeredStore(sources);
}

const noReport: StoreReport = { problems: [], skipped: [], stale: [] };

class LayeredStore implements Store {
  #version = 0;
  readonly #layers: ReadonlyMap<string, Map<string, Resource>>;
  readonly #reports: Map<string, StoreReport>;
  readonly #live = new Map<string, Resource>();
  readonly #listeners = new Set<StoreListener>();
  #sorted: readonly Resource[] | undefined;

  constructor(sources: readonly string[]) {
    this.#layers = new Map(sources.map((source) => [source, new Map()]));
    this.#reports = new Map(sources.map((source) => [source, noReport]));
  }

  get version(): number {
    return this.#version;
  }

  apply(input: StoreInput): StoreChange {
    const layer = this.#layers.get(input.source);
    if (layer === undefined) throw new Error(`The store has no source named ${input.source}`);
    const touched = new Map<string, ResourceKey>();
    for (const key of input.deletes) {
      layer.delete(formatKey(key));
      touched.set(formatKey(key), key);
    }
    for (const resource of input.puts) {
      layer.set(formatKey(resource), resource);
      touched.set(formatKey(resource), resource);
    }
    const put: Resource[] = [];
    const removed: ResourceKey[] = [];
    for (const [key, { kind, namespace, name }] of touched) {
      const outcome = this.#settle(key);
      if (outcome === "removed") removed.push({ kind, namespace, name });
      else if (outcome !== "same") put.push(outcome);
    }
    const reportChanged = !isDeepStrictEqual(this.#reports.get(input.source), input.report);
    this.#reports.set(input.source, input.report);
    if (put.length > 0 || removed.length > 0) {
      this.#version++;
      this.#sorted = undefined;
    }
    const change: StoreChange = { version: this.#version, put, removed, reportChanged };
    if (put.length > 0 || removed.length > 0 || reportChanged) {
      for (const listener of [...this.#listeners]) listener(change);
    }
    return change;
  }

  get(key: ResourceKey): Resource | undefined {
    return this.#live.get(formatKey(key));
  }

  list(kind?: Kind): readonly Resource[] {
    this.#sorted ??= Object.freeze([...this.#live.values()].sort(byKey));
    return kind === undefined ? this.#sorted : this.#sorted.filter((resource) => resource.kind === kind);
  }

  sourceOf(key: ResourceKey): string | undefined {
    const text = formatKey(key);
    for (const [source, layer] of this.#layers) if (layer.has(text)) return source;
    return undefined;
  }

  reports(): ReadonlyMap<string, StoreReport> {
    return new Map(this.#reports);
  }

  subscribe(listener: StoreListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Lets the highest layer win. Age goes with the name: an object that changes hands or content does not grow younger. */
  #settle(key: string): Resource | "same" | "removed" {
    const before = this.#live.get(key);
    let wanted: Resource | undefined;
    for (const layer of this.#layers.values()) wanted ??= layer.get(key);
    if (wanted === undefined) {
      this.#live.delete(key);
      return before === undefined ? "same" : "removed";
    }
    const aged = before === undefined ? wanted : { ...wanted, createdAt: before.createdAt };
    if (isDeepStrictEqual(before, aged)) return "same";
    this.#live.set(key, aged);
    return aged;
  }
}

function byKey(one: Resource, other: Resource): number {
  const order = kinds.indexOf(one.kind) - kinds.indexOf(other.kind);
  if (order !== 0) return order;
  if (one.namespace !== other.namespace) return one.namespace < other.namespace ? -1 : 1;
  return one.name < other.name ? -1 : 1;
}
