import { setImmediate as nextTurn } from "node:timers/promises";
import type { CancelTimer, Clock } from "../../common/base/clock.ts";
import type { Problem } from "../../common/base/problem.ts";
import type { DecodedText, DocumentCache } from "../resources/decode-text.ts";
import { decodeInSteps } from "../resources/decode-text.ts";
import type { Resource, ResourceKey } from "../resources/resource.ts";
import type { FileMemory } from "./file-memory.ts";
import { duplicateProblem, emptyMemory, keepAll, keysOf, losesResources, remember } from "./file-memory.ts";
import type { FoundFile } from "./folder-reader.ts";
import { listFolder, readText } from "./folder-reader.ts";
import type { FolderWatch } from "./folder-watch.ts";
import { watchFolder } from "./folder-watch.ts";
import type { Source, SourceReport, SourceSink } from "./source.ts";

export interface FilesSourceOptions {
  /** Towards the store, such as "config". */
  readonly name: string;
  /** A folder of any depth, or one file. */
  readonly path: string;
  readonly clock: Clock;
  /** ms that a file must look the same before it is read again; default 50. Writers are seldom done at once. */
  readonly settleMs?: number;
  /** ms that must pass before a loss is believed: a file gone, emptied or without a resource it had; default 250. */
  readonly lossMs?: number;
  /** ms between looks at the folder when nothing was heard of it; default 5 s. */
  readonly lookMs?: number;
}

export interface FilesSource extends Source {
  /** Reads what changed at once, without waiting for files to settle. For those who wrote them whole. */
  refresh(): Promise<void>;
  /** Settles when no look at the folder is under way. */
  idle(): Promise<void>;
}

/**
 * A folder of YAML as the source of the mesh's resources. What is right goes through, what is wrong is reported with its
 * place, and what was right before stays live. A folder that vanishes or cannot be read empties nothing.
 */
export function createFilesSource(options: FilesSourceOptions): FilesSource {
  return new FolderOfYaml(options);
}

/** A change that was seen and is not believed yet. */
interface Pending {
  readonly stamp: string;
  /** Monotonic ms. */
  readonly since: number;
  readonly decoded?: DecodedText;
}

const gone = "gone";
/** No stamp of any file, so an unreadable one is tried again at every look. */
const unreadable = "unreadable";
/** ms between an event and the look at the folder, so that a burst of events costs one look. */
const burstMs = 20;
/** ms of reading at a stretch. */
const turnMs = 10;

class FolderOfYaml implements FilesSource {
  readonly name: string;
  readonly #path: string;
  readonly #clock: Clock;
  readonly #settleMs: number;
  readonly #lossMs: number;
  readonly #lookMs: number;
  readonly #files = new Map<string, { readonly stamp: string; readonly memory: FileMemory }>();
  readonly #pending = new Map<string, Pending>();
  readonly #caches = new Map<string, DocumentCache>();
  readonly #owners = new Map<string, string>();
  readonly #emitted = new Map<string, Resource>();
  #folderProblems: readonly Problem[] = [];
  #unreadable: readonly string[] = [];
  #lastReport = "";
  #sink: SourceSink | undefined;
  #watch: FolderWatch | undefined;
  #timer: CancelTimer | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #looking: Promise<void> = Promise.resolve();

  constructor(options: FilesSourceOptions) {
    this.name = options.name;
    this.#path = options.path;
    this.#clock = options.clock;
    this.#settleMs = options.settleMs ?? 50;
    this.#lossMs = options.lossMs ?? 250;
    this.#lookMs = options.lookMs ?? 5_000;
  }

  async start(sink: SourceSink): Promise<void> {
    this.#sink = sink;
    // Watching begins first: what changes while the folder is read is then seen afterwards.
    this.#watch = await watchFolder(this.#path, () => this.#wake(burstMs));
    await this.#look(true);
  }

  async stop(): Promise<void> {
    this.#sink = undefined;
    this.#timer?.();
    await this.#watch?.close();
    await this.#looking;
    this.#timer?.();
  }

  refresh(): Promise<void> {
    return this.#look(true);
  }

  idle(): Promise<void> {
    return this.#looking;
  }

  /** One look at a time, in order: two at once could take a file's older content for the newer. */
  #look(atOnce: boolean): Promise<void> {
    const next = this.#looking.catch(() => {}).then(() => this.#lookNow(atOnce));
    this.#looking = next;
    return next;
  }

  async #lookNow(atOnce: boolean): Promise<void> {
    if (this.#sink === undefined) return;
    const listing = await listFolder(this.#path);
    this.#folderProblems = listing.problems;
    this.#unreadable = listing.unreadable;
    for (const [name, file] of listing.files) await this.#consider(name, file, atOnce);
    for (const name of this.#files.keys()) {
      if (!listing.files.has(name)) this.#considerGone(name, atOnce);
    }
    for (const name of this.#pending.keys()) {
      if (!listing.files.has(name) && !this.#files.has(name)) this.#pending.delete(name);
    }
    this.#publish();
    this.#wake(this.#pending.size > 0 ? this.#settleMs : this.#lookMs);
  }

  async #consider(name: string, file: FoundFile, atOnce: boolean): Promise<void> {
    const known = this.#files.get(name);
    if (known?.stamp === file.stamp) {
      this.#pending.delete(name);
      return;
    }
    const pending = this.#pendingFor(name, file.stamp);
    const age = this.#clock.monotonic() - pending.since;
    if (!atOnce && age < this.#settleMs) return;
    const memory = known?.memory ?? emptyMemory;
    const decoded = pending.decoded ?? (await this.#read(name, file));
    if (!("resources" in decoded)) {
      this.#accept(name, unreadable, keepAll(memory, decoded));
    } else if (!atOnce && age < this.#lossMs && losesResources(memory, decoded)) {
      this.#pending.set(name, { ...pending, decoded });
    } else {
      this.#accept(name, file.stamp, remember(memory, decoded));
    }
  }

  #considerGone(name: string, atOnce: boolean): void {
    if (this.#isHidden(name)) return;
    const pending = this.#pendingFor(name, gone);
    if (!atOnce && this.#clock.monotonic() - pending.since < this.#lossMs) return;
    this.#files.delete(name);
    this.#caches.delete(name);
    this.#pending.delete(name);
  }

  /** True for what lies in a folder that cannot be read at present. */
  #isHidden(name: string): boolean {
    return this.#unreadable.some(
      (folder) => folder === "" || name === folder || name.startsWith(`${folder}/`),
    );
  }

  #isGoing(name: string): boolean {
    return this.#pending.get(name)?.stamp === gone;
  }

  #pendingFor(name: string, stamp: string): Pending {
    const known = this.#pending.get(name);
    if (known?.stamp === stamp) return known;
    const pending = { stamp, since: this.#clock.monotonic() };
    this.#pending.set(name, pending);
    return pending;
  }

  async #read(name: string, file: FoundFile): Promise<DecodedText | Problem> {
    const read = await readText(file);
    if (!("text" in read)) {
      const hint = "what was read from it before stays live";
      return { path: "", why: read.why, hint, at: { file: name, line: 1 } };
    }
    const cache = this.#caches.get(name) ?? new Map();
    this.#caches.set(name, cache);
    const steps = decodeInSteps(read.text, name, { now: this.#clock.now(), cache });
    for (let busySince = this.#clock.monotonic(); ; ) {
      const step = steps.next();
      if (step.done) return step.value;
      if (this.#clock.monotonic() - busySince < turnMs) continue;
      // Large files take seconds; meanwhile the control plane must go on serving.
      await nextTurn();
      busySince = this.#clock.monotonic();
    }
  }

  #accept(name: string, stamp: string, memory: FileMemory): void {
    this.#files.set(name, { stamp, memory });
    this.#pending.delete(name);
  }

  /** Tells the sink what differs from what it was told before. */
  #publish(): void {
    const { live, report } = this.#combine();
    const puts = [...live].flatMap(([key, resource]) =>
      this.#emitted.get(key) === resource ? [] : [resource],
    );
    const deletes: ResourceKey[] = [];
    for (const [key, { kind, namespace, name }] of this.#emitted) {
      if (!live.has(key)) deletes.push({ kind, namespace, name });
    }
    const reportText = JSON.stringify(report);
    if (puts.length === 0 && deletes.length === 0 && reportText === this.#lastReport) return;
    this.#lastReport = reportText;
    this.#emitted.clear();
    for (const [key, resource] of live) this.#emitted.set(key, resource);
    this.#sink?.({ source: this.name, puts, deletes, report });
  }

  /** Joins the files. When two define one resource, the one that had it first keeps it until it lets go. */
  #combine(): { readonly live: ReadonlyMap<string, Resource>; readonly report: SourceReport } {
    const files = [...this.#files].sort(([one], [other]) => (one < other ? -1 : 1));
    const live = new Map<string, Resource>();
    for (const [key, owner] of this.#owners) {
      const resource = this.#files.get(owner)?.memory.resources.get(key);
      if (resource) live.set(key, resource);
      else this.#owners.delete(key);
    }
    const problems: Problem[] = [...this.#folderProblems];
    for (const [name, { memory }] of files) {
      problems.push(...memory.problems);
      for (const [key, resource] of memory.resources) {
        const owner = this.#owners.get(key);
        // A file that is going gives up at once what another one has: the resource was moved.
        if (owner === undefined || (owner !== name && this.#isGoing(owner))) {
          this.#owners.set(key, name);
          live.set(key, resource);
        } else if (owner !== name && !this.#isGoing(name)) {
          problems.push(duplicateProblem(resource, live.get(key)!));
        }
      }
    }
    return {
      live,
      report: {
        problems,
        skipped: files.flatMap(([, { memory }]) => memory.skipped),
        stale: files.flatMap(([name, { memory }]) => (this.#isHidden(name) ? keysOf(memory) : memory.stale)),
      },
    };
  }

  #wake(afterMs: number): void {
    const at = this.#clock.monotonic() + afterMs;
    if (this.#sink === undefined || at >= this.#timerAt) return;
    this.#timer?.();
    this.#timerAt = at;
    this.#timer = this.#clock.after(afterMs, () => {
      this.#timerAt = Number.POSITIVE_INFINITY;
      void this.#look(false);
    });
  }
}
