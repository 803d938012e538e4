import { watch } from "chokidar";

export interface FolderWatch {
  close(): Promise<void>;
}

/**
 * Calls `onChange` when something below `root` may have changed. It is only a hint: events can be lost or come twice, so
 * whoever hears it looks at the folder itself. Settles when the watch is set up; a root that is missing may appear later.
 */
export async function watchFolder(root: string, onChange: () => void): Promise<FolderWatch> {
  const watcher = watch(root, { ignoreInitial: true, persistent: false });
  watcher.on("all", onChange);
  // Too many files to watch, for one: the regular look at the folder goes on without events.
  watcher.on("error", onChange);
  await new Promise<void>((resolve) => {
    watcher.on("ready", resolve);
  });
  return { close: () => watcher.close() };
}
