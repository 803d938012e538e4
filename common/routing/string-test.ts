import type { StringMatch } from "../model/string-match.ts";
import { byteString } from "./byte-string.ts";
import { Regex } from "./regex.ts";

/** A StringMatch made ready. One class with a kind, so that calling it stays monomorphic. */
export class StringTest {
  readonly #kind: StringMatch["kind"];
  readonly #value: string;
  readonly #regex: Regex | undefined;
  readonly #shown: string;

  /** `ignoreCase`: values to test come in lower case already. Throws RegexError. */
  constructor(match: StringMatch, options: { readonly ignoreCase?: boolean } = {}) {
    const ignoreCase = options.ignoreCase === true;
    this.#kind = match.kind;
    this.#value = ignoreCase ? byteString(match.value).toLowerCase() : byteString(match.value);
    this.#regex = match.kind === "regex" ? new Regex(match.value, { ignoreCase }) : undefined;
    this.#shown = `${match.kind} ${JSON.stringify(match.value)}`;
  }

  test(value: string): boolean {
    if (this.#kind === "exact") return value === this.#value;
    if (this.#kind === "prefix") return value.startsWith(this.#value);
    return this.#regex!.matches(value);
  }

  /** `exact "jason"` */
  toString(): string {
    return this.#shown;
  }
}
