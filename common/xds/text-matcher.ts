import type { TextMatch } from "../model/authorization.ts";
import type messages from "./generated/messages.js";
import type { Reading } from "./wire.ts";

type StringMatcher = messages.envoy.type.matcher.v3.StringMatcher;

/** What Istio writes for a value that must be there. */
const anyText = ".+";

export function toTextMatcher(match: TextMatch): StringMatcher {
  if (match.kind === "present") return { safeRegex: { regex: anyText } };
  if (match.kind === "regex") return { safeRegex: { regex: match.value } };
  return { [match.kind]: match.value, ...(match.ignoreCase ? { ignoreCase: true } : {}) };
}

/** Unlike `fromStringMatcher` it knows suffix, contains and case as such. Undefined after a problem was reported. */
export function fromTextMatcher(
  matcher: StringMatcher | null | undefined,
  path: string,
  reading: Reading,
): TextMatch | undefined {
  if (matcher) {
    reading.refuseUnknown(matcher, "envoy.type.matcher.v3.StringMatcher", path);
    const ignoreCase = matcher.ignoreCase ? { ignoreCase: true } : {};
    for (const kind of ["exact", "prefix", "suffix", "contains"] as const) {
      const value = matcher[kind];
      if (typeof value === "string") return { kind, value, ...ignoreCase };
    }
    const regex = matcher.safeRegex?.regex;
    if (regex) return regex === anyText ? { kind: "present" } : { kind: "regex", value: regex };
  }
  reading.problem(
    path,
    "has no comparison that this version understands, and must not match everything instead",
  );
  return undefined;
}
