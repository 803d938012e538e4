import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Resource, ResourceKey } from "../resources/resource.ts";
import { formatKey } from "../resources/resource.ts";
import { restoreResource, saveResource } from "../resources/saved-resource.ts";
import { formatYaml } from "../resources/yaml.ts";

/**
 * What was applied through the API, one file per object, so that it outlives the control plane. The folder is also read as
 * a source of its own, which comes before the folder of configuration. Beside each file a hidden one says where in which
 * file its author wrote the object.
 */
export interface StateFolder {
  /** What a files source has to read: `<state>/resources`. */
  readonly resourcesPath: string;
  /** Makes the folder when it is missing, clears up after a crash. Call before its source starts. */
  prepare(): Promise<void>;
  /**
   * Writes objects; when this returns they are on disk and the source has told them to the store. Rejects with a
   * StateFolderError, and nothing is changed, when one can't be written.
   */
  write(resources: readonly Resource[]): Promise<void>;
  /** Deletes objects. The result says which of them were in the folder; others belong to the folder of configuration. */
  remove(keys: readonly ResourceKey[]): Promise<readonly ResourceKey[]>;
  /** What the source read, at its place in the file that its author wrote; as it is where someone edited the folder. */
  asApplied(resources: readonly Resource[]): readonly Resource[];
}

export interface StateFolderOptions {
  readonly path: string;
  /** Reads the folder at once; `refresh` of its files source. */
  readonly refresh: () => Promise<void>;
  /** Tells the store of resources whose content may be as before and whose place is not. */
  readonly moved: (resources: readonly Resource[]) => void;
}

/** The disk is full, or the folder is not ours to write; `statusCode` is what HTTP says for it. */
export class StateFolderError extends Error {
  readonly statusCode: 500 | 507;

  constructor(path: string, cause: unknown, consequence: string) {
    const code = (cause as NodeJS.ErrnoException).code ?? "";
    super(
      `the state folder ${path} cannot be written: ${reasons[code] ?? (cause as Error).message}; ${consequence}`,
      {
        cause,
      },
    );
    this.statusCode = code === "ENOSPC" || code === "EDQUOT" ? 507 : 500;
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOSPC: "no space is left on its disk",
  EDQUOT: "its owner's disk quota is used up",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "its file system is read-only",
};

/** Where the folder keeps a resource, relative to `resourcesPath`. */
export function stateFileOf({ kind, namespace, name }: ResourceKey): string {
  return `${kind}/${namespace}.${name}.yaml`;
}

export function createStateFolder(options: StateFolderOptions): StateFolder {
  return new FolderOfApplied(options);
}

interface NewFile {
  readonly file: string;
  readonly text: string;
  readonly isDispensable?: boolean;
}

class FolderOfApplied implements StateFolder {
  readonly resourcesPath: string;
  readonly #options: StateFolderOptions;
  /** As applied, by key. */
  readonly #applied = new Map<string, Resource>();
  /** One change at a time: of two at once that overlap, one wins whole. */
  #work: Promise<unknown> = Promise.resolve();

  constructor(options: StateFolderOptions) {
    this.#options = options;
    this.resourcesPath = join(options.path, "resources");
  }

  async prepare(): Promise<void> {
    await mkdir(this.resourcesPath, { recursive: true, mode: 0o700 });
    for (const file of await readdir(this.resourcesPath, { recursive: true })) {
      const path = join(this.resourcesPath, file);
      if (file.endsWith(draftEnding)) await rm(path, { force: true });
      else if (file.endsWith(originEnding)) this.#remember(await readFile(path, "utf8").catch(() => ""));
    }
  }

  write(resources: readonly Resource[]): Promise<void> {
    return this.#next(async () => {
      const files = resources.flatMap((resource) => [
        { file: this.#fileOf(resource), text: formatYaml(storedObject(resource)) },
        // Lost in a crash, it costs a place in a file and no configuration.
        { file: this.#originOf(resource), text: JSON.stringify(saveResource(resource)), isDispensable: true },
      ]);
      await this.#replaceAll(files);
      for (const resource of resources) this.#applied.set(formatKey(resource), resource);
      await this.#options.refresh();
      this.#options.moved(resources);
    });
  }

  remove(keys: readonly ResourceKey[]): Promise<readonly ResourceKey[]> {
    return this.#next(async () => {
      const removed: ResourceKey[] = [];
      try {
        for (const key of keys) {
          if (!(await removeFile(this.#fileOf(key)))) continue;
          removed.push(key);
          this.#applied.delete(formatKey(key));
          await removeFile(this.#originOf(key));
        }
      } catch (cause) {
        const consequence = removed.length === 0 ? "nothing was deleted" : "not all was deleted";
        throw new StateFolderError(this.#options.path, cause, consequence);
      } finally {
        await this.#options.refresh();
      }
      return removed;
    });
  }

  asApplied(resources: readonly Resource[]): readonly Resource[] {
    return resources.map((resource) => {
      const applied = this.#applied.get(formatKey(resource));
      if (applied?.version !== resource.version) return resource;
      return { ...resource, source: applied.source, compiled: applied.compiled };
    });
  }

  // Keys have passed the checks of names, so they cannot lead out of the folder.
  #fileOf(key: ResourceKey): string {
    return join(this.resourcesPath, stateFileOf(key));
  }

  /** Hidden, so that the files source does not read it. */
  #originOf({ kind, namespace, name }: ResourceKey): string {
    return join(this.resourcesPath, kind, `.${namespace}.${name}${originEnding}`);
  }

  #remember(text: string): void {
    const resource = restoreResource(parse(text));
    if (resource !== undefined) this.#applied.set(formatKey(resource), resource);
  }

  #next<T>(change: () => Promise<T>): Promise<T> {
    const next = this.#work.then(change, change);
    this.#work = next.catch(() => {});
    return next;
  }

  /** All new texts are on disk before the first takes its place: a full disk changes nothing, and no file is ever half. */
  async #replaceAll(files: readonly NewFile[]): Promise<void> {
    const written: { readonly draft: string; readonly file: string }[] = [];
    try {
      for (const { file, text, isDispensable = false } of files) {
        await mkdir(dirname(file), { recursive: true });
        const draft = join(dirname(file), `.${process.pid}.${written.length}${draftEnding}`);
        written.push({ draft, file });
        await writeDraft(draft, text, isDispensable);
      }
      for (const { draft, file } of written) await rename(draft, file);
    } catch (cause) {
      for (const { draft } of written) await rm(draft, { force: true }).catch(() => {});
      throw new StateFolderError(this.#options.path, cause, "nothing was changed");
    }
  }
}

const draftEnding = ".draft";
const originEnding = ".origin.json";

/** The object as its author wrote it, with the namespace that it lives in and without what the control plane says of it. */
function storedObject(resource: Resource): Record<string, unknown> {
  const { status: _, ...object } = resource.object;
  const metadata = object["metadata"] as Record<string, unknown>;
  return { ...object, metadata: { ...metadata, namespace: resource.namespace } };
}

async function writeDraft(file: string, text: string, isDispensable: boolean): Promise<void> {
  const handle = await open(file, "w", 0o600);
  try {
    await handle.writeFile(text);
    if (!isDispensable) await handle.sync();
  } finally {
    await handle.close();
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function removeFile(file: string): Promise<boolean> {
  try {
    await rm(file);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw error;
  }
}
