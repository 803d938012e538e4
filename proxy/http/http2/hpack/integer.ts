import { ErrorCode, Http2Error } from "../frame.ts";

/** Position behind the integer that `readInteger` read last. A variable, so that no pair is made per integer. */
export let integerEnd = 0;

/**
 * Reads an integer whose first octet keeps `prefix` bits for it (RFC 7541 5.1). Throws Http2Error COMPRESSION_ERROR when it does not
 * end before `end` or is larger than anything in a header block can be.
 */
export function readInteger(bytes: Uint8Array, start: number, end: number, prefix: number): number {
  const mask = (1 << prefix) - 1;
  let value = bytes[start]! & mask;
  let at = start + 1;
  if (value === mask) {
    for (let shift = 0; ; shift += 7) {
      if (at >= end || shift > 21) throw new Http2Error(ErrorCode.compressionError, "hpack.invalid_integer");
      const octet = bytes[at++]!;
      value += (octet & 0x7f) << shift;
      if (octet < 0x80) break;
    }
  }
  integerEnd = at;
  return value;
}

/** Writes an integer behind the `flags` of its first octet; returns the position behind it. Takes up to 5 octets. */
export function writeInteger(
  into: Uint8Array,
  position: number,
  value: number,
  prefix: number,
  flags: number,
): number {
  const mask = (1 << prefix) - 1;
  let at = position;
  if (value < mask) {
    into[at++] = flags | value;
    return at;
  }
  into[at++] = flags | mask;
  let rest = value - mask;
  while (rest >= 0x80) {
    into[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  into[at++] = rest;
  return at;
}
