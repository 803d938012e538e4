import type { PathMatch, Rewrite } from "../model/route.ts";
import { byteString } from "./byte-string.ts";
import { Regex, RegexError } from "./regex.ts";
import { pathEnd } from "./request-view.ts";

/** Takes a path with its query, gives the new one with the same query. */
export type PathRewrite = (path: string) => string;

/**
 * Makes a route's path rewrite ready; undefined when it has none. Throws RegexError. The result always begins with "/" and holds
 * no character that could not stand in a request line.
 */
export function compilePathRewrite(match: PathMatch, rewrite: Rewrite): PathRewrite | undefined {
  if (rewrite.regex !== undefined) return regexRewrite(rewrite.regex.pattern, rewrite.regex.substitution);
  if (rewrite.prefix !== undefined) return prefixRewrite(match, rewrite.prefix);
  return undefined;
}

/**
 * Replaces what the route matched: the prefix of a prefix match, the whole path of an exact or regex match (Envoy's prefix_rewrite,
 * Istio's rewrite.uri). A route that matches any path counts as prefix "/", as Istio translates it. One difference from Envoy: prefix
 * `/api` rewritten to `/` makes `/api/x` into `/x` and not `//x`, which names another resource and looks like an authority.
 */
export function prefixRewrite(match: PathMatch, replacement: string): PathRewrite {
  const front = pathText(replacement);
  const matched =
    match.kind === "any" ? 1 : match.kind === "prefix" ? byteString(match.value).length : undefined;
  return (path) => {
    const rest = path.slice(matched ?? pathEnd(path));
    return rooted(front.endsWith("/") && rest.startsWith("/") ? front + rest.slice(1) : front + rest);
  };
}

/** Replaces every match of the pattern in the path (Envoy's regex_rewrite); `\1` in the substitution is the first group, `\0` the match. */
function regexRewrite(pattern: string, substitution: string): PathRewrite {
  const regex = new Regex(pattern);
  const substitute = compileSubstitution(substitution, regex.groupCount);
  return (path) => {
    const end = pathEnd(path);
    return rooted(regex.replaceAll(path.slice(0, end), substitute)) + path.slice(end);
  };
}

/** Throws RegexError for a reference to a group that the pattern does not have. */
function compileSubstitution(
  substitution: string,
  groupCount: number,
): (groups: readonly string[]) => string {
  const parts: (string | number)[] = [];
  for (let i = 0; i < substitution.length; i++) {
    const char = substitution[i]!;
    const next = substitution[i + 1] ?? "";
    if (char !== "\\") {
      parts.push(pathText(char));
    } else if (next === "\\") {
      parts.push("\\");
      i++;
    } else if (next >= "0" && next <= "9") {
      const group = Number(next);
      if (group > groupCount) {
        throw new RegexError(`substitution names group \\${group}, the pattern has ${groupCount}`);
      }
      parts.push(group);
      i++;
    } else {
      throw new RegexError(
        `substitution has a backslash before ${JSON.stringify(next)}; write \\\\ or \\0 to \\9`,
      );
    }
  }
  return (groups) => parts.map((part) => (typeof part === "number" ? groups[part]! : part)).join("");
}

/** What a resource author wrote, fit for a request line: space, controls, "#" and non-ASCII are percent-encoded. */
export function pathText(text: string): string {
  let encoded = "";
  for (const char of byteString(text)) {
    const code = char.charCodeAt(0);
    const isPlain = code > 0x20 && code < 0x7f && char !== "#";
    encoded += isPlain ? char : `%${code.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}

function rooted(path: string): string {
  return path.startsWith("/") ? path : `/${path}`;
}
