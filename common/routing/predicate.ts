import type { RouteMatch } from "../model/route.ts";
import type { StringMatch } from "../model/string-match.ts";
import { byteString } from "./byte-string.ts";
import { claimValues } from "./claims.ts";
import { canonicalAuthority, hostOf } from "./host.ts";
import type { RequestView } from "./request-view.ts";
import { queryParam } from "./request-view.ts";
import { StringTest } from "./string-test.ts";

/** What a predicate looks at. */
type Subject = "method" | "scheme" | "authority" | "path" | "header" | "query" | "claim";

/**
 * One condition of a route besides its path. Plain class with a subject, so that a route's list of them runs monomorphic;
 * `test` decides and `explain` says why in the same terms.
 */
export class Predicate {
  readonly #subject: Subject;
  /** Header (lower case) or parameter name. */
  readonly #name: string;
  /** Absent: presence is enough. */
  readonly #wanted: StringTest | undefined;
  /** Of a claim: its path through the token's payload. */
  readonly #claim: readonly string[];
  readonly #invert: boolean;

  /** Throws RegexError. */
  constructor(subject: Subject, name: string, match: StringMatch | undefined, invert: boolean) {
    this.#subject = subject;
    this.#name = name;
    this.#wanted = match && new StringTest(match, { ignoreCase: subject === "authority" });
    this.#invert = invert;
    this.#claim = subject === "claim" ? name.split("\0") : [];
  }

  test(request: RequestView): boolean {
    return this.#invert ? !this.#holdsForAny(request) : this.#holds(request);
  }

  /** Why `test` is false, in words: `header end-user is "alice", wanted exact "jason"`. */
  explain(request: RequestView): string {
    const value = this.#read(request);
    const name = this.#name.replaceAll("\0", ".");
    const subject = name === "" ? this.#subject : `${subjectWord[this.#subject]} ${name}`;
    const is = value === undefined ? "is absent" : `is ${JSON.stringify(value)}`;
    if (this.#wanted === undefined)
      return `${subject} ${is}, wanted it ${this.#invert ? "absent" : "present"}`;
    return `${subject} ${is}, wanted ${this.#invert ? "anything but " : ""}${this.#wanted}`;
  }

  #holds(request: RequestView): boolean {
    if (this.#subject === "claim") return this.#holdsForClaim(request);
    const value = this.#read(request);
    if (value === undefined) return false;
    if (this.#wanted === undefined || this.#wanted.test(value)) return true;
    // Envoy's :authority holds the port, Istio's users write the host alone: both forms count.
    return this.#subject === "authority" && this.#wanted.test(hostOf(value));
  }

  /**
   * For a negated test: a header sent twice must not slip a forbidden value past it, so the joined value and each of its
   * comma-separated parts are tried (CVE-2026-26308, case 35).
   */
  #holdsForAny(request: RequestView): boolean {
    if (this.#holds(request)) return true;
    const value = this.#read(request);
    const wanted = this.#wanted;
    if (value === undefined || wanted === undefined || !value.includes(",")) return false;
    return value.split(",").some((part) => wanted.test(part.trim()));
  }

  #holdsForClaim({ claims }: RequestView): boolean {
    if (claims === undefined) return false;
    const wanted = this.#wanted;
    const values = claimValues(claims, this.#claim);
    return wanted === undefined ? values.length > 0 : values.some((value) => wanted.test(value));
  }

  #read(request: RequestView): string | undefined {
    switch (this.#subject) {
      case "claim":
        return request.claims && claimValues(request.claims, this.#claim).join(",");
      case "header":
        return request.header(this.#name);
      case "method":
        return request.method;
      case "query":
        return queryParam(request.path, this.#name);
      case "authority":
        return canonicalAuthority(request.authority);
      case "scheme":
        return request.scheme;
      case "path":
        return request.path;
    }
  }
}

/** All conditions of a match besides its path, cheapest first. Throws RegexError. */
export function predicatesOf(match: RouteMatch): readonly Predicate[] {
  const predicates: Predicate[] = [];
  if (match.method) predicates.push(new Predicate("method", "", match.method, false));
  if (match.scheme) predicates.push(new Predicate("scheme", "", match.scheme, false));
  if (match.authority) predicates.push(new Predicate("authority", "", match.authority, false));
  for (const { name, match: wanted, invert } of match.headers) {
    const lower = name.toLowerCase();
    const pseudo = pseudoHeaders.get(lower);
    if (pseudo !== undefined) predicates.push(new Predicate(pseudo, "", wanted, invert));
    else predicates.push(new Predicate("header", lower, wanted, invert));
  }
  for (const { name, match: wanted } of match.queryParams) {
    predicates.push(new Predicate("query", byteString(name), wanted, false));
  }
  for (const { path, match: wanted, invert } of match.claims ?? []) {
    predicates.push(new Predicate("claim", path.join("\0"), wanted, invert));
  }
  return predicates;
}

/** Header names that are not header fields here: a request carries them apart. */
const pseudoHeaders: ReadonlyMap<string, Subject> = new Map([
  [":method", "method"],
  [":scheme", "scheme"],
  [":authority", "authority"],
  ["host", "authority"],
  [":path", "path"],
]);

const subjectWord: Readonly<Record<Subject, string>> = {
  method: "method",
  scheme: "scheme",
  authority: "authority",
  path: "path and query",
  header: "header",
  query: "query parameter",
  claim: "claim",
};
