import { meshError } from "../../errors.ts";
import { endsInTab, fieldCount, fieldMarks, scanFields } from "./field-section.ts";
import type { Framing } from "./framing.ts";
import type { ConnectionOptions } from "./hop-by-hop.ts";
import { CR, isFieldOctet, LF, SP } from "./octets.ts";
import { SharedFields } from "./shared-fields.ts";

/** A complete, checked response head, hop-by-hop fields already taken out of `fields`. */
export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  /** Raw name/value pairs, as HeaderList holds them. */
  readonly fields: string[];
  readonly framing: Framing;
  /** Whether another request may follow on the connection. */
  readonly keepsAlive: boolean;
  /** Seconds from `Keep-Alive: timeout=N`, after which the server may close an idle connection. */
  readonly keepAliveSeconds: number | undefined;
  /** Lower-case protocol that a 101 switches to. */
  readonly upgrade: string | undefined;
  /** Position in the buffer behind the head. */
  readonly end: number;
}

export interface ResponseHeadLimits {
  /** Bytes of status line and fields together. */
  readonly maxHeaderBytes: number;
  readonly maxHeaderCount: number;
}

const maxReasonLength = 512;

/**
 * Parses the response head that starts at `start`; undefined when `bytes` ends before it does. `toHead` says that the request was
 * HEAD. Throws MeshError for anything RFC 9112 does not allow; the caller turns its code into `upstream_protocol_error`.
 */
export function parseResponseHead(
  bytes: Buffer,
  start: number,
  end: number,
  toHead: boolean,
  limits: ResponseHeadLimits,
): ResponseHead | undefined {
  // "HTTP/1.1 200 OK\r\n": version, status and the space or CR behind them are 13 octets.
  if (end - start < 13) {
    if (!isStatusLinePrefix(bytes, start, end)) throw meshError("bad_request", "http1.invalid_status_line");
    return undefined;
  }
  if (!isStatusLinePrefix(bytes, start, start + 9))
    throw meshError("bad_request", "http1.invalid_status_line");
  const minor = bytes[start + 7]! - 0x30;
  const status = statusAt(bytes, start + 9);
  let position = start + 12;
  if (bytes[position] === SP) position++;
  else if (bytes[position] !== CR) throw meshError("bad_request", "http1.invalid_status");
  const reasonStart = position;
  const reasonLimit = Math.min(end, reasonStart + maxReasonLength + 1);
  while (position < reasonLimit && isFieldOctet[bytes[position]!] === 1) position++;
  if (position - reasonStart > maxReasonLength) throw meshError("bad_request", "http1.reason_too_long");
  if (position === end) return undefined;
  if (bytes[position] !== CR) throw meshError("bad_request", "http1.invalid_reason");
  if (position + 1 === end) return undefined;
  if (bytes[position + 1] !== LF) throw meshError("bad_request", "http1.bare_cr");
  const fieldsStart = position + 2;
  const headEnd = scanFields(
    bytes,
    fieldsStart,
    Math.min(end, start + limits.maxHeaderBytes),
    limits.maxHeaderCount,
  );
  if (headEnd === -1) {
    if (end - start < limits.maxHeaderBytes) return undefined;
    throw meshError("headers_too_large", "http1.headers_too_large");
  }
  const reason = isOk(bytes, status, reasonStart, position)
    ? "OK"
    : bytes.toString("latin1", reasonStart, position);
  return buildHead(status, reason, minor, bytes, fieldsStart, headEnd, toHead);
}

function buildHead(
  status: number,
  reason: string,
  minor: number,
  bytes: Buffer,
  fieldsStart: number,
  end: number,
  toHead: boolean,
): ResponseHead {
  const text = bytes.toString("latin1", fieldsStart, end);
  const marks = fieldMarks;
  const last = fieldCount * 4;
  const shared = new SharedFields();
  let keepAliveSeconds: number | undefined;
  let upgrade: string | undefined;
  for (let mark = 0; mark < last; mark += 4) {
    const name = text.slice(marks[mark]! - fieldsStart, marks[mark + 1]! - fieldsStart);
    const value = text.slice(marks[mark + 2]! - fieldsStart, marks[mark + 3]! - fieldsStart);
    switch (name.length) {
      case 7:
        if (name.toLowerCase() === "upgrade") {
          upgrade = value.toLowerCase();
          continue;
        }
        break;
      case 10:
        if (name.toLowerCase() === "keep-alive") {
          const hint = /(?:^|[,\s])timeout=([0-9]{1,7})(?:[,\s]|$)/i.exec(value);
          if (hint !== null) keepAliveSeconds = Number(hint[1]);
          continue;
        }
        break;
    }
    shared.add(name, value, name.length === 17 && endsInTab(text, marks[mark + 3]! - fieldsStart));
  }
  const { raw: fields, transferEncoding, contentLength } = shared;
  if (transferEncoding !== undefined && (transferEncoding.toLowerCase() !== "chunked" || minor === 0)) {
    throw meshError("bad_request", "http1.invalid_transfer_encoding");
  }
  if (transferEncoding !== undefined && contentLength !== -1) {
    throw meshError("bad_request", "http1.content_length_with_transfer_encoding");
  }
  const connection = shared.settleConnection();
  const framing = responseFraming(status, toHead, transferEncoding !== undefined, contentLength);
  return {
    status,
    reason,
    fields,
    framing,
    keepsAlive: framing !== "untilClose" && staysOpen(connection, minor),
    keepAliveSeconds,
    upgrade: status === 101 && connection.upgrade ? upgrade : undefined,
    end,
  };
}

/** RFC 9112 6.3, rules 1, 2, 4, 6 and 8; the invalid combinations of the others are refused before. */
function responseFraming(
  status: number,
  toHead: boolean,
  isChunked: boolean,
  contentLength: number,
): Framing {
  if (status === 101) return "tunnel";
  if (toHead || status === 204 || status === 304 || status < 200) return 0;
  if (isChunked) return "chunked";
  return contentLength === -1 ? "untilClose" : contentLength;
}

function staysOpen(connection: ConnectionOptions, minor: number): boolean {
  return !connection.close && (minor === 1 || connection.keepAlive);
}

const prefixOctets = Buffer.from("HTTP/1.1 ", "latin1");

function isStatusLinePrefix(bytes: Uint8Array, start: number, end: number): boolean {
  const length = Math.min(end - start, 9);
  for (let i = 0; i < length; i++) {
    const octet = bytes[start + i]!;
    if (octet !== prefixOctets[i] && !(i === 7 && octet === 0x30)) return false;
  }
  return true;
}

/** Three digits from 100 up. */
function statusAt(bytes: Uint8Array, position: number): number {
  let status = 0;
  for (let i = 0; i < 3; i++) {
    const digit = bytes[position + i]! - 0x30;
    if (digit < 0 || digit > 9) throw meshError("bad_request", "http1.invalid_status");
    status = status * 10 + digit;
  }
  if (status < 100) throw meshError("bad_request", "http1.invalid_status");
  return status;
}

/** The common case without a string made. */
function isOk(bytes: Uint8Array, status: number, start: number, end: number): boolean {
  return status === 200 && end - start === 2 && bytes[start] === 0x4f && bytes[start + 1] === 0x4b;
}
