import { mkdir, open, readFile, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Problem } from "../../common/base/problem.ts";
import type { Resource } from "../resources/resource.ts";
import { formatKey } from "../resources/resource.ts";
import type { SavedResource } from "../resources/saved-resource.ts";
import { restoreResource, saveResource } from "../resources/saved-resource.ts";
import { stateFileOf } from "../store/state-folder.ts";

/** A resource that was live when the control plane last ran, and the source that it came from. */
export interface RememberedResource {
  readonly resource: Resource;
  readonly origin: string;
}

interface LastGoodFile {
  readonly resources: readonly (SavedResource & { readonly origin: string })[];
}

/** The copy of what is live, on disk, from which a restarted control plane knows what to keep where a file is bad now. */
export class LastGoodFolder {
  readonly #file: string;
  #next: string | undefined;
  #writing: Promise<void> | undefined;

  constructor(folder: string) {
    this.#file = join(folder, "last-good.json");
  }

  /** Empty when there is no copy. A copy that can't be read is no reason not to start; it is reported. */
  async load(): Promise<{ readonly resources: readonly RememberedResource[]; readonly problem?: string }> {
    let text: string;
    try {
      text = await readFile(this.#file, "utf8");
    } catch (error) {
      const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
      return {
        resources: [],
        ...(isMissing ? {} : { problem: `${this.#file}: ${(error as Error).message}` }),
      };
    }
    try {
      const { resources } = JSON.parse(text) as LastGoodFile;
      return {
        resources: resources.flatMap((saved) => {
          const resource = restoreResource(saved);
          return resource === undefined ? [] : { resource, origin: String(saved.origin) };
        }),
      };
    } catch (error) {
      return { resources: [], problem: `${this.#file} is damaged: ${(error as Error).message}` };
    }
  }

  /** Resolves when these are on disk, or newer ones are. Calls during a write are merged into one. */
  save(resources: readonly RememberedResource[]): Promise<void> {
    this.#next = `{"resources":[${resources.map(toJson).join(",\n")}]}\n`;
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #writeAll(): Promise<void> {
    while (this.#next !== undefined) {
      const text = this.#next;
      this.#next = undefined;
      await mkdir(dirname(this.#file), { recursive: true, mode: 0o700 });
      const handle = await open(`${this.#file}.new`, "w", 0o600);
      try {
        await handle.writeFile(text);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(`${this.#file}.new`, this.#file);
    }
  }
}

const texts = new WeakMap<Resource, { readonly origin: string; readonly text: string }>();

/** Made once per resource: writing the whole mesh as JSON at every change would cost more than the change. */
function toJson({ resource, origin }: RememberedResource): string {
  const known = texts.get(resource);
  if (known?.origin === origin) return known.text;
  const text = JSON.stringify({ ...saveResource(resource), origin });
  texts.set(resource, { origin, text });
  return text;
}

/**
 * Whether a remembered resource that its source does not tell of now is to be believed gone. It is not while something in
 * its file (or a folder above) can't be read: it may be the very thing that is wrong there.
 */
export function mayBeHidden({ resource }: RememberedResource, problems: readonly Problem[]): boolean {
  // What was applied says where its author wrote it; the state folder has it in a file of its own.
  const files = [resource.source.file, stateFileOf(resource)];
  return problems.some(({ at, severity = "error" }) => {
    if (severity !== "error") return false;
    return at === undefined || files.includes(at.file) || !/\.(?:ya?ml|json)$/i.test(at.file);
  });
}

/** By key, for looking up. */
export function rememberedByKey(remembered: readonly RememberedResource[]): Map<string, RememberedResource> {
  return new Map(remembered.map((entry) => [formatKey(entry.resource), entry]));
}
