import { mkdir, open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import type { Credentials } from "../net/identity-source.ts";

/**
 * This proxy's credentials on its own disk, readable by its owner only, so that a proxy which starts while no control plane answers can
 * still be recognised. Made for one SPIFFE ID; another one's are as none.
 */
export interface SavedIdentity {
  load(): Promise<Credentials | undefined>;
  /** Resolves when it is on disk; rejects with an Error. */
  save(credentials: Credentials): Promise<void>;
}

export function savedIdentity(directory: string, spiffeId: string): SavedIdentity {
  const file = join(directory, "identity.json");
  return {
    async load() {
      try {
        const saved = JSON.parse(await readFile(file, "utf8")) as Credentials & { spiffeId: string };
        const { chain, privateKey, roots, expiresAt } = saved;
        const isWhole = [chain, privateKey, roots].every((text) => typeof text === "string");
        if (saved.spiffeId !== spiffeId || !isWhole || typeof expiresAt !== "number") return undefined;
        return { chain, privateKey, roots, expiresAt };
      } catch {
        // A new one is asked for anyway.
        return undefined;
      }
    },
    async save(credentials) {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      const next = `${file}.next`;
      const handle = await open(next, "w", 0o600);
      try {
        await handle.chmod(0o600);
        await handle.writeFile(`${JSON.stringify({ spiffeId, ...credentials }, undefined, 2)}\n`);
      } finally {
        await handle.close();
      }
      await rename(next, file);
    },
  };
}
