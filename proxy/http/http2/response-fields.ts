import { HeaderList } from "../header-list.ts";
import { parseContentLength } from "../http1/content-length.ts";
import { mayTrail } from "../trailer-fields.ts";
import { FieldKind } from "./field-kind.ts";
import { ErrorCode, Http2Error } from "./frame.ts";
import type { FieldBlock } from "./hpack/decoder.ts";

/** A checked response head. */
export interface ResponseFields {
  readonly status: number;
  /** "" where the server has no say in it, as in HTTP/2. */
  readonly reason: string;
  /** Raw name/value pairs, ours to change. */
  readonly fields: string[];
  /** -1 when the server does not say. */
  readonly contentLength: number;
}

/** Makes a response head of a decoded block. Throws Http2Error for a malformed one (RFC 9113 8.1.1). */
export function readResponse(block: FieldBlock, streamId: number): ResponseFields {
  const { fields: raw, kinds } = block;
  const malformed = (why: string) => new Http2Error(ErrorCode.protocolError, `http2.${why}`, streamId);
  if (block.isTooLarge) throw malformed("headers_too_large");
  const fields: string[] = [];
  let status = 0;
  let reason = "";
  let contentLength = -1;
  for (let i = 0; i < kinds.length; i++) {
    const name = raw[2 * i]!;
    const value = raw[2 * i + 1]!;
    switch (kinds[i]!) {
      case FieldKind.status:
        if (status !== 0 || fields.length > 0) throw malformed("invalid_status");
        status = statusOf(value);
        if (status === 0) throw malformed("invalid_status");
        continue;
      case FieldKind.reason:
        reason = value;
        continue;
      case FieldKind.method:
      case FieldKind.scheme:
      case FieldKind.authority:
      case FieldKind.path:
      case FieldKind.protocol:
      case FieldKind.unknownPseudo:
        throw malformed("unknown_pseudo_header");
      case FieldKind.invalid:
        throw malformed("invalid_header");
      case FieldKind.connectionSpecific:
        throw malformed("connection_specific_header");
      case FieldKind.dropped:
        continue;
      case FieldKind.contentLength: {
        const length = parseContentLength(value);
        if (length === -1 || contentLength !== -1) throw malformed("invalid_content_length");
        contentLength = length;
        break;
      }
    }
    fields.push(name, value);
  }
  if (status === 0) throw malformed("missing_status");
  return { status, reason, fields, contentLength };
}

/** Three digits; 101 does not exist in HTTP/2 (RFC 9113 8.6). 0 for anything else. */
function statusOf(value: string): number {
  if (value === "200") return 200;
  return /^[1-9][0-9][0-9]$/.test(value) && value !== "101" ? Number(value) : 0;
}

/** The trailers that may pass; undefined when none are left. Throws Http2Error for a malformed block. */
export function readTrailers(block: FieldBlock, streamId: number): HeaderList | undefined {
  const malformed = (why: string) => new Http2Error(ErrorCode.protocolError, `http2.${why}`, streamId);
  if (block.isTooLarge) throw malformed("trailers_too_large");
  const { fields: raw, kinds } = block;
  let trailers: HeaderList | undefined;
  for (let i = 0; i < kinds.length; i++) {
    const kind = kinds[i]!;
    if (kind >= FieldKind.method && kind <= FieldKind.unknownPseudo)
      throw malformed("pseudo_header_in_trailers");
    if (kind === FieldKind.invalid || kind === FieldKind.reason) throw malformed("invalid_trailer");
    if (kind === FieldKind.connectionSpecific) throw malformed("connection_specific_header");
    const name = raw[2 * i]!;
    if (kind === FieldKind.dropped || !mayTrail(name.toLowerCase())) continue;
    trailers ??= new HeaderList();
    trailers.raw.push(name, raw[2 * i + 1]!);
  }
  return trailers;
}
