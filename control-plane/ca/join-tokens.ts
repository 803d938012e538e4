import { readFile, stat } from "node:fs/promises";
import { joinTokenSum } from "../../common/identity/join-token.ts";
import { isIdentityName } from "../../common/identity/spiffe.ts";
import type { TokenOwner, TokenVerifier } from "./caller.ts";

/**
 * Join tokens of a local mesh: `weft up` makes one per workload and writes the file that this reads, which holds their SHA-256 sums and no
 * token. The file is read again when it has changed, so that workloads may come and go.
 */
export function joinTokenVerifier(file: string): TokenVerifier {
  let known: ReadonlyMap<string, TokenOwner> = new Map();
  let version = "";
  const refresh = async (): Promise<void> => {
    const { mtimeMs, size, ino } = await stat(file);
    const next = `${mtimeMs} ${size} ${ino}`;
    if (next === version) return;
    known = parse(await readFile(file, "utf8"), file);
    version = next;
  };
  return {
    name: "join token",
    async verify(token) {
      if (token.length > 512) return undefined;
      await refresh().catch((cause: NodeJS.ErrnoException) => {
        throw cause.code === undefined ? cause : new Error(`cannot read ${file}: ${cause.code}`, { cause });
      });
      // The sum is looked up, so how long that takes says nothing about the token.
      return known.get(joinTokenSum(token));
    },
  };
}

/** `{ "<sum>": { "namespace": …, "serviceAccount": … } }` */
function parse(text: string, file: string): ReadonlyMap<string, TokenOwner> {
  let content: Readonly<Record<string, Partial<TokenOwner>>>;
  try {
    content = JSON.parse(text) as typeof content;
  } catch {
    throw new Error(`${file} is no JSON`);
  }
  return new Map(
    Object.entries(content).flatMap(([sum, { namespace = "", serviceAccount = "" }]) =>
      isIdentityName(namespace) && isIdentityName(serviceAccount)
        ? [[sum, { namespace, serviceAccount }] as const]
        : [],
    ),
  );
}
