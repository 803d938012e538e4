import type { Response } from "../http/exchange.ts";

/**
 * ms that a server asks to wait before the next attempt (RFC 9110 10.2.3: seconds or a date), at least 0; undefined when it asks for
 * nothing or nothing readable. `nowMs` is the wall clock.
 */
export function retryAfterMs({ headers }: Response, nowMs: number): number | undefined {
  const text = headers.get("retry-after")?.trim();
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}
