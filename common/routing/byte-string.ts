/**
 * Text from a resource as it appears in a request: UTF-8 with one char per byte, because codecs read paths and headers as
 * latin1. ASCII stays what it is. So matching is byte-exact and never fails on invalid UTF-8.
 */
export function byteString(text: string): string {
  if (isAscii(text)) return text;
  let bytes = "";
  for (const byte of new TextEncoder().encode(text)) bytes += String.fromCharCode(byte);
  return bytes;
}

/** True when every char is below 0x80. */
export function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}
