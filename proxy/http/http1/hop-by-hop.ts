/** What a message's Connection field says (RFC 9110 7.6.1). */
export interface ConnectionOptions {
  readonly close: boolean;
  readonly keepAlive: boolean;
  readonly upgrade: boolean;
  /** Lower-case names of the fields it nominates as hop-by-hop; undefined when there are none. */
  readonly nominated: readonly string[] | undefined;
}

export const noConnectionOptions: ConnectionOptions = {
  close: false,
  keepAlive: false,
  upgrade: false,
  nominated: undefined,
};
const closeOption: ConnectionOptions = { ...noConnectionOptions, close: true };
const keepAliveOption: ConnectionOptions = { ...noConnectionOptions, keepAlive: true };
const upgradeOption: ConnectionOptions = { ...noConnectionOptions, upgrade: true };

/**
 * Reads the value(s) of Connection, joined with ",". Fields that carry identity, framing, routing or cookies are never taken as
 * hop-by-hop, or a client could have the proxy remove what the next hop decides by (case 15 of the threat list).
 */
export function parseConnection(value: string): ConnectionOptions {
  if (value === "keep-alive" || value === "Keep-Alive") return keepAliveOption;
  if (value === "close") return closeOption;
  if (value === "Upgrade" || value === "upgrade") return upgradeOption;
  let close = false;
  let keepAlive = false;
  let upgrade = false;
  let nominated: string[] | undefined;
  for (const part of value.toLowerCase().split(",")) {
    const option = part.trim();
    if (option === "close") close = true;
    else if (option === "keep-alive") keepAlive = true;
    else if (option === "upgrade") upgrade = true;
    else if (option !== "" && !isProtected(option)) {
      if (nominated === undefined) nominated = [option];
      else nominated.push(option);
    }
  }
  return { close, keepAlive, upgrade, nominated };
}

/** Removes the nominated fields from raw name/value pairs, in place. */
export function removeNominated(raw: string[], nominated: readonly string[]): void {
  let kept = 0;
  for (let i = 0; i < raw.length; i += 2) {
    if (nominated.includes(raw[i]!.toLowerCase())) continue;
    raw[kept] = raw[i]!;
    raw[kept + 1] = raw[i + 1]!;
    kept += 2;
  }
  raw.length = kept;
}

const protectedNames = new Set([
  "authorization",
  "content-encoding",
  "content-length",
  "content-type",
  "cookie",
  "date",
  "expect",
  "forwarded",
  "host",
  "origin",
  "proxy-authorization",
  "set-cookie",
  "tracestate",
  "traceparent",
  "via",
  "x-real-ip",
  "x-request-id",
]);
const protectedPrefixes = [
  "x-forwarded-",
  "x-envoy-",
  "x-weft-",
  "x-b3-",
  "grpc-",
  "sec-",
  "access-control-",
];

function isProtected(name: string): boolean {
  return protectedNames.has(name) || protectedPrefixes.some((prefix) => name.startsWith(prefix));
}
