/** Digits up to which every number is exact in a double. */
const maxDigits = 15;

/**
 * The value of a Content-Length field as bytes, or -1 when it is not `1*DIGIT` (RFC 9110 8.6) or longer than 15 digits.
 * Lists such as `5, 5` are refused although the RFC lets a recipient fold them: case 2 of the threat list.
 */
export function parseContentLength(value: string): number {
  const length = value.length;
  if (length === 0 || length > maxDigits) return -1;
  let bytes = 0;
  for (let i = 0; i < length; i++) {
    const digit = value.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    bytes = bytes * 10 + digit;
  }
  return bytes;
}
