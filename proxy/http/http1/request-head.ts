import type { MeshError } from "../../errors.ts";
import { meshError } from "../../errors.ts";
import type { HttpServerSettings } from "../http-server.ts";
import { knownMethod } from "../methods.ts";
import { endsInTab, fieldCount, fieldMarks, scanFields } from "./field-section.ts";
import type { Framing } from "./framing.ts";
import type { ConnectionOptions } from "./hop-by-hop.ts";
import { CR, HASH, isTargetOctet, isTokenOctet, LF, SP } from "./octets.ts";
import { readTarget } from "./request-target.ts";
import { SharedFields } from "./shared-fields.ts";
import { chooseUpgrade } from "./upgrade.ts";

/** A complete, checked request head, hop-by-hop fields already taken out of `fields`. */
export interface RequestHead {
  readonly method: string;
  /** Origin-form target, or "*" for OPTIONS. */
  readonly path: string;
  readonly authority: string;
  /** Raw name/value pairs, as HeaderList holds them. */
  readonly fields: string[];
  readonly framing: Framing;
  readonly connection: ConnectionOptions;
  /** Lower-case protocol the client asks to switch to; undefined for h2c and whenever the request has a body. */
  readonly upgrade: string | undefined;
  readonly expectsContinue: boolean;
  /** Position in the buffer behind the head. */
  readonly end: number;
}

/** No method is longer, so a client that never sends a space is refused early. */
const longestMethod = 16;

/**
 * Parses the request head that starts at `start`. Undefined when `bytes` ends before the head does.
 * Throws MeshError with the code to answer with: bad_request, uri_too_long, headers_too_large, upgrade_required,
 * version_not_supported, expectation_failed, method_not_allowed, transfer_encoding_unsupported.
 */
export function parseRequestHead(
  bytes: Buffer,
  start: number,
  end: number,
  settings: HttpServerSettings,
): RequestHead | undefined {
  // 1. Request line.
  let position = start;
  while (position < end && isTokenOctet[bytes[position]!] === 1) position++;
  if (position === end) {
    if (position - start > longestMethod) throw meshError("bad_request", "http1.unknown_method");
    return undefined;
  }
  if (bytes[position] !== SP || position === start) throw meshError("bad_request", "http1.invalid_method");
  const methodEnd = position;
  const targetStart = position + 1;
  position = targetStart;
  const targetLimit = Math.min(end, targetStart + settings.maxUrlLength + 1);
  while (position < targetLimit && isTargetOctet[bytes[position]!] === 1) position++;
  if (position - targetStart > settings.maxUrlLength) throw meshError("uri_too_long", "http1.uri_too_long");
  if (position === end) return undefined;
  if (bytes[position] !== SP || position === targetStart) throw targetError(bytes[position]!);
  const targetEnd = position;
  if (end - position < 11) {
    return isVersionPrefix(bytes, position, end) ? undefined : badRequestLine();
  }
  const minor = versionMinor(bytes, position);
  position += 11;

  // 2. Fields: only once they are complete are strings made.
  const limitEnd = Math.min(end, start + settings.maxHeaderBytes);
  const fieldsStart = position;
  const headEnd = scanFields(bytes, position, limitEnd, settings.maxHeaderCount);
  if (headEnd === -1) {
    if (end - start < settings.maxHeaderBytes) return undefined;
    throw meshError("headers_too_large", "http1.headers_too_large");
  }
  const line = bytes.toString("latin1", start, targetEnd);
  const method = knownMethod(line.slice(0, methodEnd - start));
  const target = line.slice(targetStart - start);
  return buildHead(method ?? unknownMethod(line), target, bytes, fieldsStart, headEnd, minor);
}

function buildHead(
  method: string,
  target: string,
  bytes: Buffer,
  fieldsStart: number,
  end: number,
  minor: number,
): RequestHead {
  const text = bytes.toString("latin1", fieldsStart, end);
  const marks = fieldMarks;
  const last = fieldCount * 4;
  const shared = new SharedFields();
  let host: string | undefined;
  let upgradeValue: string | undefined;
  let expect: string | undefined;
  for (let mark = 0; mark < last; mark += 4) {
    const name = text.slice(marks[mark]! - fieldsStart, marks[mark + 1]! - fieldsStart);
    const value = text.slice(marks[mark + 2]! - fieldsStart, marks[mark + 3]! - fieldsStart);
    switch (name.length) {
      case 2:
        // Only `trailers` has a meaning across a proxy (RFC 9110 10.1.4); gRPC depends on it.
        if (name.toLowerCase() === "te") {
          if (/(?:^|,)[ \t]*trailers[ \t]*(?:,|$)/i.test(value)) shared.raw.push(name, "trailers");
          continue;
        }
        break;
      case 4:
        if (name === "Host" || name.toLowerCase() === "host") {
          if (host !== undefined) throw meshError("bad_request", "http1.duplicate_host");
          host = value;
          continue;
        }
        break;
      case 6:
        if (name.toLowerCase() === "expect") expect = expect === undefined ? value : `${expect},${value}`;
        break;
      case 7:
        if (name.toLowerCase() === "upgrade") {
          upgradeValue = upgradeValue === undefined ? value : `${upgradeValue},${value}`;
          continue;
        }
        break;
      case 10:
        if (name.toLowerCase() === "keep-alive") continue;
        break;
      case 14:
        if (name.toLowerCase() === "http2-settings") continue;
        break;
    }
    shared.add(name, value, name.length === 17 && endsInTab(text, marks[mark + 3]! - fieldsStart));
  }

  // 3. What the fields say together.
  const { raw: fields, transferEncoding, contentLength } = shared;
  if (transferEncoding !== undefined) checkTransferEncoding(transferEncoding, contentLength, minor);
  if (minor === 0) throw meshError("upgrade_required", "http1.http_1_0");
  if (method === "CONNECT") throw meshError("method_not_allowed", "http1.connect_not_allowed");
  if (expect !== undefined && expect.toLowerCase() !== "100-continue") {
    throw meshError("expectation_failed", "http1.unknown_expectation");
  }
  if (host === undefined) throw meshError("bad_request", "http1.missing_host");
  const connection = shared.settleConnection();
  const framing = transferEncoding !== undefined ? "chunked" : contentLength === -1 ? 0 : contentLength;

  const { authority, path } = readTarget(method, target, host);
  return {
    method,
    path,
    authority,
    fields,
    framing,
    connection,
    upgrade:
      upgradeValue !== undefined && connection.upgrade && framing === 0
        ? chooseUpgrade(upgradeValue)
        : undefined,
    expectsContinue: expect !== undefined,
    end,
  };
}

/** RFC 9112 6.1: anything but one plain `chunked` is either ambiguous (400) or a coding that we do not speak (501). */
function checkTransferEncoding(value: string, contentLength: number, minor: number): void {
  if (minor === 0) throw meshError("bad_request", "http1.transfer_encoding_in_http_1_0");
  if (contentLength !== -1) throw meshError("bad_request", "http1.content_length_with_transfer_encoding");
  const lower = value.toLowerCase();
  if (lower === "chunked") return;
  if (
    /^[a-z-]+(?:[ \t]*,[ \t]*[a-z-]+)*[ \t]*,[ \t]*chunked$/.test(lower) &&
    lower.split("chunked").length === 2
  ) {
    throw meshError("transfer_encoding_unsupported", "http1.unsupported_transfer_encoding");
  }
  throw meshError("bad_request", "http1.invalid_transfer_encoding");
}

const versionOctets = Buffer.from(" HTTP/1.1\r\n", "latin1");

/** Checks " HTTP/1.x\r\n" at `position`, of which all 11 octets are there, and returns x. */
function versionMinor(bytes: Uint8Array, position: number): number {
  const minorDigit = bytes[position + 8]!;
  for (let i = 0; i < 11; i++) {
    if (i !== 8 && bytes[position + i] !== versionOctets[i]) return otherVersion(bytes, position);
  }
  if (minorDigit === 0x31) return 1;
  if (minorDigit === 0x30) return 0;
  return otherVersion(bytes, position);
}

function otherVersion(bytes: Uint8Array, position: number): never {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + position, 11).toString("latin1");
  if (/^ HTTP\/[0-9]\.[0-9]\r\n$/.test(text))
    throw meshError("version_not_supported", "http1.version_not_supported");
  return badRequestLine();
}

function isVersionPrefix(bytes: Uint8Array, position: number, end: number): boolean {
  for (let i = 0; position + i < end; i++) {
    const octet = bytes[position + i]!;
    const isVersionDigit = (i === 6 || i === 8) && octet >= 0x30 && octet <= 0x39;
    if (octet !== versionOctets[i] && !isVersionDigit) return false;
  }
  return true;
}

function badRequestLine(): never {
  throw meshError("bad_request", "http1.invalid_request_line");
}

function unknownMethod(line: string): string {
  if (line.startsWith("CONNECT ")) return "CONNECT";
  throw meshError("bad_request", "http1.unknown_method");
}

function targetError(octet: number): MeshError {
  if (octet === HASH) return meshError("bad_request", "http1.fragment_in_target");
  if (octet === CR || octet === LF) return meshError("bad_request", "http1.invalid_request_line");
  return meshError("bad_request", "http1.invalid_target");
}
