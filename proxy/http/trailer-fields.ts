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

/** Whether a field may come after the body; `lowerName` is lower case. */
export function mayTrail(lowerName: string): boolean {
  return !forbidden.has(lowerName) && !forbiddenPrefixes.some((prefix) => lowerName.startsWith(prefix));
}
