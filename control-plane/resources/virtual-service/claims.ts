import type { ClaimMatch } from "../../../common/model/route.ts";
import type { StringMatchInput } from "../fields/string-match.ts";
import { compileStringMatch } from "../fields/string-match.ts";

/** The path through a token's payload that a header name of Istio's claim-based routing stands for; undefined for other names. */
export function claimPath(name: string): readonly string[] | undefined {
  const rest = /^@request\.auth\.claims(.+)$/.exec(name)?.[1];
  if (rest === undefined) return undefined;
  if (/^(?:\[[^\][]+\])+$/.test(rest)) return [...rest.matchAll(/\[([^\]]+)\]/g)].map((found) => found[1]!);
  return /^(?:\.[^.[\]]+)+$/.test(rest) ? rest.slice(1).split(".") : undefined;
}

export function compileClaims(
  input: Readonly<Record<string, StringMatchInput>> | undefined,
  invert: boolean,
): ClaimMatch[] {
  return Object.entries(input ?? {}).flatMap(([name, value]): ClaimMatch[] => {
    const path = claimPath(name);
    if (path === undefined) return [];
    const match = compileStringMatch(value);
    return [match ? { path, match, invert } : { path, invert }];
  });
}
