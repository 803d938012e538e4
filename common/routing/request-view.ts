import type { TokenClaims } from "../model/authentication.ts";

/** What the matcher reads of a request. The proxy's Exchange is one; `weft explain` makes one from its arguments. */
export interface RequestView {
  readonly method: string;
  readonly scheme: string;
  /** Host[:port] as sent. */
  readonly authority: string;
  /** Path and query as sent, without a fragment. One char per byte. */
  readonly path: string;
  /** All values of the header joined with ",", or undefined when absent. `lowerName` is lower case; pseudo-headers and Host are never asked for. */
  header(lowerName: string): string | undefined;
  /** The payload of the token that was verified; absent without one. */
  readonly claims?: TokenClaims | undefined;
}

/** Where the path ends and the query begins: the index of "?", or the length. */
export function pathEnd(path: string): number {
  const question = path.indexOf("?");
  return question === -1 ? path.length : question;
}

/**
 * The first value of a query parameter, undefined when absent, "" for `?name`. Names and values are compared as sent, without
 * percent-decoding (as Envoy's query_parameters match does).
 */
export function queryParam(path: string, name: string): string | undefined {
  let start = path.indexOf("?") + 1;
  if (start === 0) return undefined;
  while (start <= path.length) {
    let end = path.indexOf("&", start);
    if (end === -1) end = path.length;
    if (path.startsWith(name, start)) {
      const next = start + name.length;
      if (next === end) return "";
      if (next < end && path[next] === "=") return path.slice(next + 1, end);
    }
    start = end + 1;
  }
  return undefined;
}
