import { meshError } from "../../errors.ts";
import type { HttpServerSettings } from "../http-server.ts";
import { isAuthority } from "../http1/authority.ts";
import { parseContentLength } from "../http1/content-length.ts";
import { knownMethod } from "../methods.ts";
import { FieldKind } from "./field-kind.ts";
import { ErrorCode, Http2Error } from "./frame.ts";
import type { FieldBlock } from "./hpack/decoder.ts";

/** A checked request head. Shared between requests whose header blocks are equal. */
export interface RequestFields {
  readonly method: string;
  /** Origin-form target, or "*" for OPTIONS. */
  readonly path: string;
  readonly authority: string;
  /** Raw name/value pairs without pseudo-header fields and Host, crumbs of cookies put together. */
  readonly fields: readonly string[];
  /** Octets of the body; -1 when the client does not say. */
  readonly contentLength: number;
  /** Lower-case protocol of an extended CONNECT (RFC 8441), whose method here is GET, as an upgrade's is in HTTP/1.1. */
  readonly upgrade: string | undefined;
  readonly expectsContinue: boolean;
}

const unsafeTarget = /[^\x21-\x7e]/;

/**
 * Makes a request head of a decoded block. Throws Http2Error for a malformed request (RFC 9113 8.1.1), which only a reset answers, and
 * MeshError for one that is sound HTTP/2 but gets an answer of ours: bad_request, uri_too_long, headers_too_large,
 * method_not_allowed, expectation_failed.
 */
export function readRequest(
  block: FieldBlock,
  settings: HttpServerSettings,
  streamId: number,
): RequestFields {
  if (block.request !== undefined) return block.request as RequestFields;
  if (block.isTooLarge) throw meshError("headers_too_large", "http2.headers_too_large");
  const { fields: raw, kinds } = block;
  const fields: string[] = [];
  let method: string | undefined;
  let scheme: string | undefined;
  let authority: string | undefined;
  let path: string | undefined;
  let protocol: string | undefined;
  let host: string | undefined;
  let cookieAt = -1;
  let contentLength = -1;
  let expect: string | undefined;
  let isPastPseudo = false;
  const malformed = (why: string) => new Http2Error(ErrorCode.protocolError, `http2.${why}`, streamId);
  for (let i = 0; i < kinds.length; i++) {
    const name = raw[2 * i]!;
    const value = raw[2 * i + 1]!;
    const kind = kinds[i]!;
    if (kind >= FieldKind.method && kind <= FieldKind.unknownPseudo) {
      if (isPastPseudo) throw malformed("late_pseudo_header");
      switch (kind) {
        case FieldKind.method:
          if (method !== undefined) throw malformed("duplicate_pseudo_header");
          method = value;
          break;
        case FieldKind.scheme:
          if (scheme !== undefined) throw malformed("duplicate_pseudo_header");
          scheme = value;
          break;
        case FieldKind.authority:
          if (authority !== undefined) throw malformed("duplicate_pseudo_header");
          authority = value;
          break;
        case FieldKind.path:
          if (path !== undefined) throw malformed("duplicate_pseudo_header");
          path = value;
          break;
        case FieldKind.protocol:
          if (protocol !== undefined) throw malformed("duplicate_pseudo_header");
          protocol = value;
          break;
        default:
          throw malformed("unknown_pseudo_header");
      }
      continue;
    }
    isPastPseudo = true;
    switch (kind) {
      case FieldKind.regular:
        break;
      case FieldKind.invalid:
      case FieldKind.reason:
        throw malformed("invalid_header");
      case FieldKind.connectionSpecific:
        throw malformed("connection_specific_header");
      case FieldKind.dropped:
        continue;
      case FieldKind.te:
        if (value !== "trailers") throw malformed("invalid_te");
        break;
      case FieldKind.host:
        if (host !== undefined) throw malformed("duplicate_host");
        host = value;
        continue;
      case FieldKind.contentLength:
        if (contentLength !== -1) throw malformed("duplicate_content_length");
        contentLength = parseContentLength(value);
        if (contentLength === -1) throw malformed("invalid_content_length");
        fields.push(name, String(contentLength));
        continue;
      case FieldKind.cookie:
        // RFC 9113 8.2.3: one field again before it goes where HTTP/1.1 is spoken.
        if (cookieAt === -1) cookieAt = fields.length + 1;
        else {
          fields[cookieAt] += `; ${value}`;
          continue;
        }
        break;
      case FieldKind.expect:
        expect = value;
        break;
    }
    fields.push(name, value);
  }

  if (method === undefined) throw malformed("missing_method");
  if (method === "CONNECT" && protocol === undefined) {
    if (path !== undefined || scheme !== undefined) throw malformed("invalid_connect");
    throw meshError("method_not_allowed", "http2.connect_not_allowed");
  }
  if (protocol !== undefined && (method !== "CONNECT" || !isToken.test(protocol)))
    throw malformed("invalid_protocol");
  if (scheme !== "http" && scheme !== "https") throw malformed("invalid_scheme");
  if (path === undefined || path === "" || unsafeTarget.test(path)) throw malformed("invalid_path");
  if (path.charCodeAt(0) !== 0x2f && !(path === "*" && method === "OPTIONS")) throw malformed("invalid_path");
  if (authority === undefined || authority === "") authority = host;
  else if (host !== undefined && host.toLowerCase() !== authority.toLowerCase())
    throw malformed("host_is_not_authority");
  if (!isToken.test(method)) throw malformed("invalid_method");

  const known = protocol === undefined ? knownMethod(method) : "GET";
  if (known === undefined) throw meshError("bad_request", "http2.unknown_method");
  if (authority === undefined) throw meshError("bad_request", "http2.missing_host");
  if (!isAuthority(authority)) throw meshError("bad_request", "http2.invalid_host");
  if (path.length > settings.maxUrlLength) throw meshError("uri_too_long", "http2.uri_too_long");
  if (path.includes("#")) throw meshError("bad_request", "http2.fragment_in_target");
  if (expect !== undefined && expect.toLowerCase() !== "100-continue")
    throw meshError("expectation_failed", "http2.unknown_expectation");
  const request: RequestFields = {
    method: known,
    path,
    authority,
    fields,
    contentLength,
    upgrade: protocol?.toLowerCase(),
    expectsContinue: expect !== undefined,
  };
  block.request = request;
  return request;
}

const isToken = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Method and path of a block that did not become a request, for the log; "" where there is none or it can't be shown. */
export function refusedLine({ fields, kinds }: FieldBlock): {
  readonly method: string;
  readonly path: string;
} {
  const method = fields[2 * kinds.indexOf(FieldKind.method) + 1] ?? "";
  const path = fields[2 * kinds.indexOf(FieldKind.path) + 1] ?? "";
  return {
    method: isToken.test(method) ? method.slice(0, 32) : "",
    path: unsafeTarget.test(path) ? "" : path,
  };
}
