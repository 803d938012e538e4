import { meshError } from "../../errors.ts";
import type { Exchange } from "../exchange.ts";
import type { HeaderList } from "../header-list.ts";
import { STATUS_CODES } from "../node-http.ts";
import type { Framing } from "./framing.ts";

/**
 * Heads as latin1 text. The codec alone decides about framing and hop-by-hop fields: whatever a filter may have left in
 * the header list under those names is not written.
 */

/** Text of a request head, with the framing that its body has. Throws MeshError `internal` when a filter broke path or authority. */
export function requestHead(exchange: Exchange, framing: Framing): string {
  const { method, path, authority } = exchange;
  if (breaksLine.test(path) || breaksLine.test(authority))
    throw meshError("internal", "http1.unsafe_request_line");
  let text = `${method} ${path} HTTP/1.1\r\nHost: ${authority}\r\n`;
  if (exchange.upgrade !== undefined) text += `Connection: Upgrade\r\nUpgrade: ${exchange.upgrade}\r\n`;
  text += fieldLines(exchange.headers, framing);
  if (framing === "chunked") return `${text}Transfer-Encoding: chunked\r\n\r\n`;
  if (lengthWritten || framing === "tunnel") return `${text}\r\n`;
  // RFC 9110 8.6: without content only methods that anticipate some need a length.
  if (framing === 0 && method !== "POST" && method !== "PUT" && method !== "PATCH") return `${text}\r\n`;
  return `${text}Content-Length: ${framing}\r\n\r\n`;
}

const connectionLines = {
  "keep-alive": "",
  close: "Connection: close\r\n",
  // RFC 9110 15.5.22: a 426 names what to upgrade to.
  upgrade: "Connection: close, Upgrade\r\nUpgrade: HTTP/1.1\r\n",
} as const;

/**
 * Text of a final response head. `framing` says what is written after it; `keepsLength` keeps a Content-Length that describes a body
 * that is not sent (HEAD, 304).
 */
export function responseHead(
  status: number,
  reason: string,
  headers: HeaderList,
  framing: Framing,
  keepsLength: boolean,
  connection: keyof typeof connectionLines,
): string {
  // RFC 9110 8.6: no length in a 204, not even 0; "chunked" stands for none.
  const allowed = status === 204 ? "chunked" : keepsLength ? "tunnel" : framing;
  const text = statusLine(status, reason) + fieldLines(headers, allowed) + connectionLines[connection];
  if (framing === "chunked") return `${text}Transfer-Encoding: chunked\r\n\r\n`;
  if (lengthWritten || keepsLength || framing === "tunnel" || status === 204) return `${text}\r\n`;
  return `${text}Content-Length: ${framing}\r\n\r\n`;
}

/** Text of an interim (1xx) response. */
export function interimHead(status: number, headers: HeaderList): string {
  return `${statusLine(status, "")}${fieldLines(headers, "chunked")}\r\n`;
}

/** Text of a 101 that switches to `protocol`. */
export function switchingHead(headers: HeaderList, protocol: string): string {
  return `${statusLine(101, "")}Connection: Upgrade\r\nUpgrade: ${protocol}\r\n${fieldLines(headers, "chunked")}\r\n`;
}

/** Text that ends a chunked body. */
export function lastChunk(trailers: HeaderList | undefined): string {
  return trailers === undefined ? "0\r\n\r\n" : `0\r\n${fieldLines(trailers, "chunked")}\r\n`;
}

// Space, controls and DEL end or split a request line; beyond one octet latin1 would cut a character down to anything.
const breaksLine = /[^\x21-\x7e\x80-\xff]/;
const breaksReason = /[^\t\x20-\x7e\x80-\xff]/;

/** Whether the last `fieldLines` wrote a Content-Length. A variable, so that the hot path allocates no pair. */
let lengthWritten = false;

/** A Content-Length is written where it stood when it agrees with `framing`; "tunnel" lets any pass. */
function fieldLines(headers: HeaderList, framing: Framing): string {
  const raw = headers.raw;
  lengthWritten = false;
  let text = "";
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!;
    switch (name.length) {
      case 4:
        if (name.toLowerCase() === "host") continue;
        break;
      case 7:
        if (name.toLowerCase() === "upgrade") continue;
        break;
      case 10: {
        const lower = name.toLowerCase();
        if (lower === "connection" || lower === "keep-alive") continue;
        break;
      }
      case 14:
        if (name.toLowerCase() === "content-length") {
          if (lengthWritten) continue;
          if (framing !== "tunnel" && raw[i + 1] !== String(framing)) continue;
          lengthWritten = true;
        }
        break;
      case 16:
        if (name.toLowerCase() === "proxy-connection") continue;
        break;
      case 17:
        if (name.toLowerCase() === "transfer-encoding") continue;
        break;
    }
    text += `${name}: ${raw[i + 1]!}\r\n`;
  }
  return text;
}

const standardLines = new Map(
  Object.entries(STATUS_CODES).map(
    ([status, phrase]) => [Number(status), [phrase!, `HTTP/1.1 ${status} ${phrase}\r\n`]] as const,
  ),
);

function statusLine(status: number, reason: string): string {
  const standard = standardLines.get(status);
  if (standard !== undefined && (reason === "" || reason === standard[0])) return standard[1];
  return `HTTP/1.1 ${status} ${breaksReason.test(reason) ? "" : reason}\r\n`;
}
