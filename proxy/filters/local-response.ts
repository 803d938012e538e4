import { Body } from "../http/body.ts";
import type { Exchange, Response } from "../http/exchange.ts";
import { HeaderList } from "../http/header-list.ts";

/**
 * An answer that a route gives on purpose (redirect, fault, preflight); errors are thrown instead. `detail`: Envoy's
 * RESPONSE_CODE_DETAILS. `fields`: name/value pairs; throws MeshError `internal` for what would not stay one field on the wire.
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
  const headers = new HeaderList();
  for (let i = 0; i < fields.length; i += 2) headers.add(fields[i]!, fields[i + 1]!);
  // RFC 9110 8.6: no Content-Length with 204.
  if (status !== 204) headers.add("content-length", String(bytes.length));
  return { status, reason: "", headers, body: Body.of(bytes) };
}

const noBytes = new Uint8Array(0);
