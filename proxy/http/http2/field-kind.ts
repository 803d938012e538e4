/**
 * What a decoded field means to us, found once per entry of an HPACK table and not once per request. The numbers are dense, so that a
 * switch over them is a jump.
 */
export const FieldKind = Object.freeze({
  /** A field that passes as it is. */
  regular: 0,
  /** Name or value break RFC 9113 8.2.1: the message is malformed. */
  invalid: 1,
  method: 2,
  scheme: 3,
  authority: 4,
  path: 5,
  protocol: 6,
  status: 7,
  /** A pseudo-header field that nobody defined. */
  unknownPseudo: 8,
  /** connection, keep-alive, proxy-connection, transfer-encoding, upgrade (RFC 9113 8.2.2): malformed. */
  connectionSpecific: 9,
  te: 10,
  host: 11,
  contentLength: 12,
  cookie: 13,
  /** Taken away: it means something else to an HTTP/1.1 server. */
  dropped: 14,
  expect: 15,
  /** `:reason`: the phrase of an HTTP/1.1 answer, on connections that carry HTTP/1.1 as it is. */
  reason: 16,
});

const special: ReadonlyMap<string, number> = new Map<string, number>([
  [":method", FieldKind.method],
  [":scheme", FieldKind.scheme],
  [":authority", FieldKind.authority],
  [":path", FieldKind.path],
  [":protocol", FieldKind.protocol],
  [":status", FieldKind.status],
  ["connection", FieldKind.connectionSpecific],
  ["keep-alive", FieldKind.connectionSpecific],
  ["proxy-connection", FieldKind.connectionSpecific],
  ["transfer-encoding", FieldKind.connectionSpecific],
  ["upgrade", FieldKind.connectionSpecific],
  ["te", FieldKind.te],
  ["host", FieldKind.host],
  ["content-length", FieldKind.contentLength],
  ["cookie", FieldKind.cookie],
  ["http2-settings", FieldKind.dropped],
  ["expect", FieldKind.expect],
]);

const token = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const unsafeValue = /[^\t\x20-\x7e\x80-\xff]|^[ \t]|[ \t]$/;

/** Judges a field by name and value. */
export function fieldKind(name: string, value: string): number {
  if (unsafeValue.test(value)) return FieldKind.invalid;
  return nameKind(name);
}

/** As `fieldKind`, where names keep the case that HTTP/1.1 gave them. */
export function keptFieldKind(name: string, value: string): number {
  if (unsafeValue.test(value)) return FieldKind.invalid;
  return name === ":reason" ? FieldKind.reason : nameKind(name.toLowerCase());
}

/** Judges by the name alone: for a value that is known to be sound. */
export function nameKind(name: string): number {
  const kind = special.get(name);
  if (kind !== undefined) return kind;
  if (name.charCodeAt(0) === 0x3a) return FieldKind.unknownPseudo;
  return token.test(name) ? FieldKind.regular : FieldKind.invalid;
}
