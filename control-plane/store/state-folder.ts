import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Resource, ResourceKey } from "../resources/resource.ts";
import { formatYaml } from "../resources/yaml.ts";

/**
 * What was applied through the API, one file per object, so that it outlives the control plane. The folder is also read as
 * a source of its own, which comes before the folder of configuration.
 */
export interface StateFolder {
  /** What a files source has to read: `<state>/resources`. */
  readonly resourcesPath: string;
  /** Makes the folder when it is missing. Call before its source starts. */
  prepare(): Promise<void>;
  /** Writes objects; when this returns they are on disk and the source has told them to the store. */
  write(resources: readonly Resource[]): Promise<void>;
  /** Deletes objects. The result says which of them were in the folder; others belong to the folder of configuration. */
  remove(keys: readonly ResourceKey[]): Promise<readonly ResourceKey[]>;
}

export interface StateFolderOptions {
  readonly path: string;
  /** Reads the folder at once; `refresh` of its files source. */
  readonly refresh: () => Promise<void>;
}

export function createStateFolder({ path, refresh }: StateFolderOptions): StateFolder {
  const resourcesPath = join(path, "resources");
  // Keys have passed the checks of names, so they cannot lead out of the folder.
  const fileOf = (key: ResourceKey): string =>
    join(resourcesPath, key.kind, `${key.namespace}.${key.name}.yaml`);
  return {
    resourcesPath,
    async prepare() {
      await mkdir(resourcesPath, { recursive: true });
    },
    async write(resources) {
      for (const resource of resources)
        await writeWhole(fileOf(resource), formatYaml(storedObject(resource)));
      await refresh();
    },
    async remove(keys) {
      const removed: ResourceKey[] = [];
      for (const key of keys) if (await removeFile(fileOf(key))) removed.push(key);
      await refresh();
      return removed;
    },
  };
}

/** The object as its author wrote it, with the namespace that it lives in and without what the control plane says of it. */
function storedObject(resource: Resource): Record<string, unknown> {
  const { status: _, ...object } = resource.object;
  const metadata = object["metadata"] as Record<string, unknown>;
  return { ...object, metadata: { ...metadata, namespace: resource.namespace } };
}

/** Two writes at once must not share a draft. */
let drafts = 0;

/** Readers see the old file or the new one, never half of it. */
async function writeWhole(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  // A leading dot keeps the files source from reading it.
  const draft = join(dirname(file), `.${process.pid}.${++drafts}.draft`);
  const handle = await open(draft, "w");
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(draft, file);
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
