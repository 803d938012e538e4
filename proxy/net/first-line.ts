import type { FirstBytes } from "./client-hello.ts";
import { readClientHello } from "./client-hello.ts";

/** RFC 9113 section 3.4. */
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/** A request line is longer only by intent; what is longer is some other protocol's. */
const maxLineOctets = 16_384;

/**
 * Tells TLS, HTTP/1, HTTP/2 with prior knowledge and everything else apart, by the first bytes (Envoy's tls_inspector and http_inspector).
 * Takes what has arrived so far, from the first byte on. Never throws.
 */
export function readFirstLine(bytes: Buffer): FirstBytes {
  const found = readClientHello(bytes);
  if (found.kind !== "plain") return found;
  const start = bytes.toString("latin1", 0, preface.length);
  if (preface.startsWith(start)) return start === preface ? http2 : incomplete;
  // RFC 9112 section 3: a method is a token, and one space follows it; all that are in use are of capital letters and dashes.
  if (!/^[A-Z][A-Z-]{0,31}( |$)/.test(bytes.toString("latin1", 0, 33))) return other;
  const end = bytes.indexOf(10);
  if (end === -1) return bytes.length > maxLineOctets ? other : incomplete;
  return / HTTP\/1\.[01]\r?$/.test(bytes.toString("latin1", 0, end)) ? http1 : other;
}

const incomplete: FirstBytes = { kind: "incomplete" };
const other: FirstBytes = { kind: "plain" };
const http1: FirstBytes = { kind: "plain", protocols: ["http/1.1"] };
const http2: FirstBytes = { kind: "plain", protocols: ["h2c"] };
