import { meshError } from "../../errors.ts";
import { COLON, CR, HTAB, isFieldOctet, isTokenOctet, LF, SP } from "./octets.ts";

/**
 * Field lines (RFC 9112 section 5) are read in two steps: `scanFields` checks every octet and marks where names and values lie;
 * once the section is complete its text is sliced once and names and values are cut out of that. An incomplete section
 * so costs no strings.
 */

/** Marks of the last scan, four per field: name start, name end, value start, value end. Valid until the next scan. */
export let fieldMarks: Int32Array = new Int32Array(4 * 128);

/** Number of fields of the last complete scan. */
export let fieldCount = 0;

/**
 * Scans field lines from `at` up to and including the empty line. Returns the position behind it, or -1 when `bytes` ends before.
 * Throws MeshError `bad_request` on anything that is not exactly `name ":" OWS value OWS CRLF`, and `headers_too_large`
 * beyond `maxCount` fields.
 */
export function scanFields(bytes: Uint8Array, at: number, end: number, maxCount: number): number {
  if (fieldMarks.length < 4 * maxCount) fieldMarks = new Int32Array(4 * maxCount);
  const marks = fieldMarks;
  let count = 0;
  let position = at;
  for (;;) {
    if (position >= end) return -1;
    if (bytes[position] === CR) {
      if (position + 1 >= end) return -1;
      if (bytes[position + 1] !== LF) throw meshError("bad_request", "http1.bare_cr");
      fieldCount = count;
      return position + 2;
    }
    const nameStart = position;
    while (position < end && isTokenOctet[bytes[position]!] === 1) position++;
    if (position === end) return -1;
    if (bytes[position] !== COLON || position === nameStart) throw nameError(bytes, position, nameStart);
    if (count === maxCount) throw meshError("headers_too_large", "http1.too_many_headers");
    const nameEnd = position++;
    while (position < end && (bytes[position] === SP || bytes[position] === HTAB)) position++;
    const valueStart = position;
    while (position < end && isFieldOctet[bytes[position]!] === 1) position++;
    if (position === end) return -1;
    if (bytes[position] !== CR) throw valueError(bytes[position]!);
    let valueEnd = position;
    while (valueEnd > valueStart && (bytes[valueEnd - 1] === SP || bytes[valueEnd - 1] === HTAB)) valueEnd--;
    if (position + 1 >= end) return -1;
    if (bytes[position + 1] !== LF) throw meshError("bad_request", "http1.bare_cr");
    const mark = count * 4;
    marks[mark] = nameStart;
    marks[mark + 1] = nameEnd;
    marks[mark + 2] = valueStart;
    marks[mark + 3] = valueEnd;
    count++;
    position += 2;
  }
}

/**
 * Whether a tab follows the value that ends at `end` in `text`. Optional whitespace by the RFC, but llhttp does not take
 * `chunked<TAB>` for chunked: two recipients that disagree about framing are all that smuggling needs.
 */
export function endsInTab(text: string, end: number): boolean {
  for (let i = end; text.charCodeAt(i) !== CR; i++) if (text.charCodeAt(i) === HTAB) return true;
  return false;
}

function nameError(bytes: Uint8Array, position: number, nameStart: number): Error {
  const octet = bytes[position]!;
  if (position === nameStart) {
    if (octet === SP || octet === HTAB) return meshError("bad_request", "http1.obs_fold");
    if (octet === LF) return meshError("bad_request", "http1.bare_lf");
    if (octet === COLON) return meshError("bad_request", "http1.empty_header_name");
  } else if (octet === SP || octet === HTAB) return meshError("bad_request", "http1.space_before_colon");
  else if (octet === CR || octet === LF) return meshError("bad_request", "http1.header_without_colon");
  return meshError("bad_request", "http1.invalid_header_name");
}

function valueError(octet: number): Error {
  return meshError("bad_request", octet === LF ? "http1.bare_lf" : "http1.invalid_header_value");
}
