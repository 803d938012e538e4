import type { TextMatch } from "../model/authorization.ts";
import { byteString } from "./byte-string.ts";
import { Regex } from "./regex.ts";

/** A TextMatch made ready. */
export class TextTest {
  readonly #kind: TextMatch["kind"];
  readonly #value: string;
  readonly #ignoreCase: boolean;
  readonly #regex: Regex | undefined;
  readonly #shown: string;

  /** Throws RegexError. */
  constructor(match: TextMatch) {
    const value = match.kind === "present" ? "" : match.value;
    this.#kind = match.kind;
    this.#ignoreCase = "ignoreCase" in match && match.ignoreCase === true;
    this.#value = this.#ignoreCase ? byteString(value).toLowerCase() : byteString(value);
    this.#regex = match.kind === "regex" ? new Regex(value) : undefined;
    this.#shown = match.kind === "present" ? "any value" : `${match.kind} ${JSON.stringify(value)}`;
  }

  test(value: string): boolean {
    const text = this.#ignoreCase ? value.toLowerCase() : value;
    switch (this.#kind) {
      case "exact":
        return text === this.#value;
      case "prefix":
        return text.startsWith(this.#value);
      case "suffix":
        return text.endsWith(this.#value);
      case "contains":
        return text.includes(this.#value);
      case "present":
        return text !== "";
      case "regex":
        return this.#regex!.matches(value);
    }
  }

  /** `prefix "/admin"` */
  toString(): string {
    return this.#shown;
  }
}
