/**
 * An authority in the one form that is compared: lower case, without a trailing dot on the host or zeros before the port.
 * `Reviews.:09080` becomes `reviews:9080`.
 */
export function canonicalAuthority(authority: string): string {
  const lower = authority.toLowerCase().replace(/:0+(?=\d+$)/, ":");
  const colon = portColon(lower);
  const hostEnd = colon === -1 ? lower.length : colon;
  if (lower[hostEnd - 1] !== ".") return lower;
  return lower.slice(0, hostEnd - 1) + lower.slice(hostEnd);
}

/** `reviews:9080` → `reviews`, `[::1]:80` → `[::1]`. */
export function hostOf(authority: string): string {
  const colon = portColon(authority);
  return colon === -1 ? authority : authority.slice(0, colon);
}

/** The digits after the host, or "" when there are none. */
export function portOf(authority: string): string {
  const colon = portColon(authority);
  return colon === -1 ? "" : authority.slice(colon + 1);
}

/** Index of the colon before the port, -1 without one. An IPv6 address has its colons inside brackets. */
function portColon(authority: string): number {
  const colon = authority.lastIndexOf(":");
  return colon > authority.lastIndexOf("]") ? colon : -1;
}
