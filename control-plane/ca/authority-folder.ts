import { chmod, mkdir, open, readFile, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Generation } from "./generation.ts";

/**
 * Where the roots that we made are kept: `authority.json` with the keys, for its owner only, and `root-cert.pem` with the roots to trust,
 * which proxies are given to know the control plane by.
 */
export interface AuthorityFolder {
  /** Empty when nothing was kept. Rejects with an Error when what was kept can't be read: a root is never replaced silently. */
  load(): Promise<readonly Generation[]>;
  /** Resolves when it is on disk. */
  save(generations: readonly Generation[]): Promise<void>;
  writeRoots(roots: readonly string[]): Promise<void>;
  /** Path of `root-cert.pem`. */
  readonly rootsFile: string;
}

interface AuthorityFile {
  readonly version: 1;
  readonly generations: readonly Generation[];
}

export function createAuthorityFolder(path: string): AuthorityFolder {
  const file = join(path, "authority.json");
  const rootsFile = join(path, "root-cert.pem");
  const prepare = () => mkdir(path, { recursive: true, mode: 0o700 });
  return {
    rootsFile,
    async load() {
      let text: string;
      try {
        text = await readFile(file, "utf8");
      } catch (cause) {
        const { code } = cause as NodeJS.ErrnoException;
        if (code === "ENOENT") return [];
        throw new Error(`cannot read the certificate authority ${file}: ${code}`, { cause });
      }
      // Whoever could read it so far may have; nobody else shall from now on.
      if (((await stat(file)).mode & 0o077) !== 0) await chmod(file, 0o600);
      return parse(text, file);
    },
    async save(generations) {
      await prepare();
      const content: AuthorityFile = { version: 1, generations };
      await write(file, `${JSON.stringify(content, undefined, 2)}\n`, 0o600);
    },
    async writeRoots(roots) {
      await prepare();
      await write(rootsFile, roots.join(""), 0o644);
    },
  };
}

/** The text holds keys, so no error quotes it. */
function parse(text: string, file: string): readonly Generation[] {
  const damaged = new Error(
    `the certificate authority ${file} is damaged; put a copy back, or remove it: then a new root is made, and every proxy is to be started anew`,
  );
  let content: AuthorityFile;
  try {
    content = JSON.parse(text) as AuthorityFile;
  } catch {
    throw damaged;
  }
  const { version, generations } = content;
  if (version !== 1 || !Array.isArray(generations) || !generations.every(isWhole)) throw damaged;
  return generations;
}

function isWhole(generation: Partial<Generation>): boolean {
  const { root, intermediate, phase, since, between } = generation;
  return (
    typeof root?.certificate === "string" &&
    typeof intermediate?.certificate === "string" &&
    typeof intermediate.privateKey === "string" &&
    Array.isArray(between) &&
    ["waiting", "signing", "leaving"].includes(phase ?? "") &&
    typeof since === "number"
  );
}

/** Written beside and renamed, so that a crash leaves the old or the new. */
async function write(file: string, text: string, mode: number): Promise<void> {
  const next = `${file}.next`;
  const handle = await open(next, "w", mode);
  try {
    await handle.chmod(mode);
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(next, file);
}
