import type { StringMatch } from "../model/string-match.ts";
import type messages from "./generated/messages.js";
import type { Reading } from "./wire.ts";

type StringMatcher = messages.envoy.type.matcher.v3.StringMatcher;
type RegexMatcher = messages.envoy.type.matcher.v3.RegexMatcher;

export function toStringMatcher(match: StringMatch): StringMatcher {
  if (match.kind === "exact") return { exact: match.value };
  if (match.kind === "regex") return { safeRegex: toRegexMatcher(match.value) };
  // Envoy refuses an empty prefix, although it means something: anything.
  return match.value === "" ? { safeRegex: toRegexMatcher(".*") } : { prefix: match.value };
}

/**
 * Suffix, contains and ignore_case have no word of their own in the model and become RE2 patterns with the same meaning.
 * Undefined after a problem was reported.
 */
export function fromStringMatcher(
  matcher: StringMatcher | null | undefined,
  path: string,
  reading: Reading,
): StringMatch | undefined {
  if (!matcher) return missing(path, reading);
  reading.refuseUnknown(matcher, "envoy.type.matcher.v3.StringMatcher", path);
  if (matcher.safeRegex)
    return { kind: "regex", value: fromRegexMatcher(matcher.safeRegex, `${path}.safeRegex`, reading) };
  return fromText(
    {
      exact: matcher.exact,
      prefix: matcher.prefix,
      suffix: matcher.suffix,
      contains: matcher.contains,
      ignoreCase: matcher.ignoreCase === true,
    },
    path,
    reading,
  );
}

/** The comparisons that StringMatcher and the older HeaderMatcher fields share. */
export interface TextComparison {
  readonly exact?: string | null | undefined;
  readonly prefix?: string | null | undefined;
  readonly suffix?: string | null | undefined;
  readonly contains?: string | null | undefined;
  readonly ignoreCase: boolean;
}

export function fromText(text: TextComparison, path: string, reading: Reading): StringMatch | undefined {
  const flag = text.ignoreCase ? "(?i)" : "";
  if (typeof text.exact === "string") {
    return text.ignoreCase
      ? { kind: "regex", value: `(?i)${escapeRegex(text.exact)}` }
      : { kind: "exact", value: text.exact };
  }
  if (typeof text.prefix === "string") {
    return text.ignoreCase
      ? { kind: "regex", value: `(?is)${escapeRegex(text.prefix)}.*` }
      : { kind: "prefix", value: text.prefix };
  }
  if (typeof text.suffix === "string")
    return { kind: "regex", value: `${flag}(?s).*${escapeRegex(text.suffix)}` };
  if (typeof text.contains === "string")
    return { kind: "regex", value: `${flag}(?s).*${escapeRegex(text.contains)}.*` };
  return missing(path, reading);
}

export function toRegexMatcher(regex: string): RegexMatcher {
  return { regex };
}

export function fromRegexMatcher(
  matcher: RegexMatcher | null | undefined,
  path: string,
  reading: Reading,
): string {
  if (!matcher?.regex) reading.problem(path, "has no regex");
  else reading.refuseUnknown(matcher, "envoy.type.matcher.v3.RegexMatcher", path);
  return matcher?.regex ?? "";
}

function missing(path: string, reading: Reading): undefined {
  reading.problem(
    path,
    "has no comparison that this version understands, and must not match everything instead",
  );
  return undefined;
}

/** RE2 and JavaScript agree on which characters have a meaning outside of classes. */
function escapeRegex(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}
