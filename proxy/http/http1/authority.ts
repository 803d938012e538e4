import { isIPv6 } from "node:net";

const namePattern = /^[A-Za-z0-9._~-]+(?::([0-9]{1,5}))?$/;
const bracketPattern = /^\[([0-9A-Fa-f:.]+)\](?::([0-9]{1,5}))?$/;

/**
 * True for `host` or `host:port` as a mesh can name them: a registered name of letters, digits and `-._~`, an IPv4 address or a
 * bracketed IPv6 address. Narrower than RFC 3986 3.2.2 on purpose: userinfo, percent-encoding, sub-delimiters and an empty port
 * mean different things to different recipients (case 17 of the threat list).
 */
export function isAuthority(text: string): boolean {
  const match = namePattern.exec(text);
  if (match !== null) return isPort(match[1]);
  const bracket = bracketPattern.exec(text);
  return bracket !== null && isIPv6(bracket[1]!) && isPort(bracket[2]);
}

function isPort(digits: string | undefined): boolean {
  return digits === undefined || Number(digits) <= 65_535;
}
