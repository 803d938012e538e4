import { HeaderList } from "../header-list.ts";
import { fieldCount, fieldMarks } from "./field-section.ts";

/**
 * Fields that must not come after the body (RFC 9110 6.5.1): framing, routing, identity, content and cache control. Dropped and
 * never merged into the headers: case 9 of the threat list.
 */
const forbidden = new Set([
  "age",
  "authorization",
  "cache-control",
  "connection",
  "content-encoding",
  "content-length",
  "content-range",
  "content-type",
  "cookie",
  "date",
  "expect",
  "expires",
  "forwarded",
  "host",
  "keep-alive",
  "location",
  "max-forwards",
  "pragma",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "range",
  "retry-after",
  "set-cookie",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "vary",
  "via",
  "warning",
  "www-authenticate",
]);
const forbiddenPrefixes = ["x-forwarded-", "x-envoy-", "x-weft-", "x-real-ip", "if-", "access-control-"];

/** Makes the trailers that may pass from the marks of the last scan of `bytes`; undefined when none are left. */
export function trailersFromMarks(bytes: Buffer): HeaderList | undefined {
  let trailers: HeaderList | undefined;
  for (let mark = 0; mark < fieldCount * 4; mark += 4) {
    const name = bytes.toString("latin1", fieldMarks[mark]!, fieldMarks[mark + 1]!);
    const lower = name.toLowerCase();
    if (forbidden.has(lower) || forbiddenPrefixes.some((prefix) => lower.startsWith(prefix))) continue;
    trailers ??= new HeaderList();
    trailers.raw.push(name, bytes.toString("latin1", fieldMarks[mark + 2]!, fieldMarks[mark + 3]!));
  }
  return trailers;
}
