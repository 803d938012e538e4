import { RE2JS } from "re2js";
import { isAscii } from "./byte-string.ts";

/** The only door to regular expressions from users: RE2 syntax, matched in linear time. JavaScript's RegExp never sees them. */

/** Longest pattern taken, in characters (Istio's own limit). */
export const maxRegexLength = 1024;

/** Largest compiled program: time per input byte grows with it, so `a{1000}b{1000}…` is no way around the linear time. */
export const maxRegexProgram = 2000;

/** A pattern that RE2 refuses; the message says why without repeating the pattern. */
export class RegexError extends Error {
  constructor(why: string) {
    super(why);
    this.name = "RegexError";
  }
}

/** A compiled pattern. Inputs are byte strings (one char per byte) and are read as UTF-8. */
export class Regex {
  readonly pattern: string;
  readonly #re2: RE2JS;

  /** Throws RegexError. */
  constructor(pattern: string, options: { readonly ignoreCase?: boolean } = {}) {
    if (pattern.length > maxRegexLength) {
      throw new RegexError(
        `regular expression has ${pattern.length} characters, the limit is ${maxRegexLength}`,
      );
    }
    this.pattern = pattern;
    this.#re2 = compile(pattern, options.ignoreCase === true ? RE2JS.CASE_INSENSITIVE : 0);
    const size = this.#re2.programSize();
    if (size > maxRegexProgram) {
      throw new RegexError(
        `regular expression is too complex: ${size} steps, the limit is ${maxRegexProgram}`,
      );
    }
  }

  /** True when the whole of `value` matches. */
  matches(value: string): boolean {
    return this.#re2.testExact(isAscii(value) ? value : bytesOf(value));
  }

  get groupCount(): number {
    return this.#re2.groupCount();
  }

  /** Replaces every match; `replace` gets the matched groups, the whole match first, "" for groups that took no part. */
  replaceAll(value: string, replace: (groups: readonly string[]) => string): string {
    const matcher = this.#re2.matcher(value);
    const count = this.#re2.groupCount();
    let result = "";
    let copied = 0;
    while (matcher.find()) {
      const groups: string[] = [];
      for (let group = 0; group <= count; group++) groups.push(matcher.group(group) ?? "");
      result += value.slice(copied, matcher.start()) + replace(groups);
      copied = matcher.end();
    }
    return result + value.slice(copied);
  }
}

/** Why `pattern` would be refused, or undefined when it is fine. */
export function regexProblem(pattern: string): string | undefined {
  try {
    new Regex(pattern);
    return undefined;
  } catch (thrown) {
    if (thrown instanceof RegexError) return thrown.message;
    throw thrown;
  }
}

function compile(pattern: string, flags: number): RE2JS {
  try {
    return RE2JS.compile(pattern, flags);
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    throw new RegexError(
      `regular expression is not valid RE2: ${message.replace("error parsing regexp: ", "")}`,
    );
  }
}

function bytesOf(value: string): Uint8Array {
  const bytes = new Uint8Array(value.length);
  for (let i = 0; i < value.length; i++) bytes[i] = value.charCodeAt(i);
  return bytes;
}
