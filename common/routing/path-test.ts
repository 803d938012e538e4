import type { PathMatch } from "../model/route.ts";
import { byteString } from "./byte-string.ts";
import { Regex } from "./regex.ts";

/** A PathMatch made ready. Tests the path without its query. */
export class PathTest {
  readonly kind: PathMatch["kind"];
  /** As it is compared: a byte string, in lower case when `ignoreCase`; "" for any. */
  readonly value: string;
  readonly ignoreCase: boolean;
  readonly #regex: Regex | undefined;
  readonly #shown: string;

  /** Throws RegexError. */
  constructor(match: PathMatch) {
    this.kind = match.kind;
    this.ignoreCase = (match.kind === "exact" || match.kind === "prefix") && match.ignoreCase;
    this.#shown = match.kind === "any" ? "" : match.value;
    const value = byteString(this.#shown);
    this.value = this.ignoreCase ? value.toLowerCase() : value;
    this.#regex = match.kind === "regex" ? new Regex(match.value) : undefined;
  }

  test(path: string): boolean {
    if (this.kind === "any") return true;
    if (this.kind === "regex") return this.#regex!.matches(path);
    const compared = this.ignoreCase ? path.toLowerCase() : path;
    return this.kind === "exact" ? compared === this.value : compared.startsWith(this.value);
  }

  /** Why `test` is false, in words. */
  explain(path: string): string {
    const folded = this.ignoreCase ? " (ignoring case)" : "";
    if (this.kind === "exact") return `path ${path} is not ${this.#shown}${folded}`;
    if (this.kind === "prefix") return `path ${path} does not start with ${this.#shown}${folded}`;
    return `path ${path} does not match the regex ${this.#shown}`;
  }
}
