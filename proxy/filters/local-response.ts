import { Body } from "../http/body.ts";
import type { Exchange, Response } from "../http/exchange.ts";
import { HeaderList } from "../http/header-list.ts";

/**
 * An answer that a route gives on purpose (redirect, fault, preflight); errors are thrown instead. `detail`: Envoy's
 * RESPONSE_CODE_DETAILS. `fields`: name/value pairs.
 */
export function localResponse(
  exchange: Exchange,
  detail: string,
  status: number,
  fields: readonly string[] = [],
  body: Uint8Array = noBytes,
): Response {
  exchange.detail = detail;
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  // RFC 9110 8.6: no Content-Length with 204.
  const length = status === 204 ? [] : ["content-length", String(bytes.length)];
  const headers = new HeaderList([...fields, ...length]);
  return { status, reason: "", headers, body: Body.of(bytes) };
}

const noBytes = new Uint8Array(0);
