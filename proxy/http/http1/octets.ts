/**
 * Classes of octets as look-up tables (1 = member), because the scanners touch every byte of every head.
 * RFC 9110 5.6.2 (tchar), 5.5 (field-value), RFC 9112 3.2 (request-target).
 */

export const HTAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const HASH = 0x23;
export const COLON = 0x3a;
export const SEMICOLON = 0x3b;
export const EQUALS = 0x3d;
export const DQUOTE = 0x22;
export const BACKSLASH = 0x5c;

/** Octets of a method or field name. */
export const isTokenOctet: Uint8Array = table((octet) =>
  /[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(String.fromCharCode(octet)),
);

/** Octets of a field value: visible ASCII, space, tab and obs-text; no control characters, no DEL. */
export const isFieldOctet: Uint8Array = table((octet) => octet === HTAB || (octet >= SP && octet !== 0x7f));

/** Octets of a request target: visible ASCII except "#", because a fragment is never sent (case 32 of the threat list). */
export const isTargetOctet: Uint8Array = table((octet) => octet > SP && octet < 0x7f && octet !== HASH);

/** Value of a hexadecimal digit, or 255. */
export const hexValue: Uint8Array = Uint8Array.from({ length: 256 }, (_, octet) => {
  const digit = "0123456789abcdef".indexOf(String.fromCharCode(octet).toLowerCase());
  return digit === -1 ? 255 : digit;
});

function table(isMember: (octet: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, octet) => (isMember(octet) ? 1 : 0));
}
