import { createHash, timingSafeEqual } from "node:crypto";
import { readFile, stat } from "node:fs/promises";

/** The secret by which programs prove that they may use the HTTP API. */
export interface AccessToken {
  /** Takes the same time whatever of it is wrong. */
  check(given: string): Promise<"right" | "wrong" | "unreadable">;
}

const minLength = 16;

/**
 * Reads the file, and again whenever it has changed, so that the token can be replaced without a restart. Rejects with an Error when it can't be
 * read or holds no good token. Only a sum of the token is kept.
 */
export async function openAccessToken(file: string): Promise<AccessToken> {
  let sum = Buffer.alloc(0);
  let version = "";
  const refresh = async (): Promise<void> => {
    const { mtimeMs, size, ino } = await stat(file);
    const next = `${mtimeMs} ${size} ${ino}`;
    if (next === version) return;
    const token = (await readFile(file, "utf8")).trim();
    if (token.length < minLength || /\s/.test(token))
      throw new Error(`holds no token: one of at least ${minLength} characters without spaces is needed`);
    sum = sumOf(token);
    version = next;
  };
  await refresh().catch((cause: NodeJS.ErrnoException) => {
    const why = cause.code === undefined ? cause.message : `cannot be read: ${cause.code}`;
    throw new Error(`--http-token-file: ${file} ${why}; make one with: openssl rand -hex 32 > ${file}`, {
      cause,
    });
  });
  return {
    async check(given) {
      try {
        await refresh();
      } catch {
        return "unreadable";
      }
      return timingSafeEqual(sumOf(given), sum) ? "right" : "wrong";
    },
  };
}

function sumOf(token: string): Buffer<ArrayBuffer> {
  return createHash("sha256").update(token).digest();
}
