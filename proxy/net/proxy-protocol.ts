import type { Socket } from "node:net";
import { isIP } from "node:net";
import type { Clock } from "../../common/base/clock.ts";
import type { SocketAddress } from "../../common/model/node.ts";

/** What a load balancer before us says of a connection that it passes on (HAProxy's PROXY protocol, versions 1 and 2). */
export interface ProxyHeader {
  /** Absent when the balancer speaks for itself, as in its health checks. */
  readonly source?: SocketAddress;
  readonly destination?: SocketAddress;
}

export type ReadHeader =
  | { readonly kind: "incomplete" }
  | { readonly kind: "malformed" }
  | { readonly kind: "header"; readonly octets: number; readonly header: ProxyHeader };

const incomplete: ReadHeader = { kind: "incomplete" };
const malformed: ReadHeader = { kind: "malformed" };

/** Reads what has arrived so far, from the first byte on. Never throws. */
export function readProxyHeader(bytes: Buffer): ReadHeader {
  if (isPrefix(signature, bytes)) return readBinary(bytes);
  return isPrefix(textStart, bytes) ? readText(bytes) : malformed;
}

/**
 * Waits for the header of a connection and takes it off; what follows stays in the socket, which is paused. Undefined when there is none
 * within `timeoutMs`, or the client went away: then the socket is destroyed.
 */
export function takeProxyHeader(
  socket: Socket,
  clock: Clock,
  timeoutMs: number,
): Promise<ProxyHeader | undefined> {
  return new Promise((resolve) => {
    let bytes: Buffer = Buffer.alloc(0);
    const settle = (header: ProxyHeader | undefined): void => {
      cancelTimer();
      socket.off("data", onData);
      for (const event of ["error", "end", "close"]) socket.off(event, onGone);
      socket.on("error", () => {});
      if (header === undefined) socket.destroy();
      else socket.pause();
      resolve(header);
    };
    const onData = (chunk: Buffer): void => {
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
      const found = readProxyHeader(bytes);
      if (found.kind === "malformed") settle(undefined);
      if (found.kind !== "header") return;
      settle(found.header);
      if (bytes.length > found.octets) socket.unshift(bytes.subarray(found.octets));
    };
    const onGone = (): void => settle(undefined);
    const cancelTimer = clock.after(timeoutMs, onGone);
    socket.on("data", onData);
    for (const event of ["error", "end", "close"]) socket.on(event, onGone);
  });
}

/** Version 1: one line, such as `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443`. */
function readText(bytes: Buffer): ReadHeader {
  const end = bytes.indexOf("\r\n");
  if (end === -1) return bytes.length > maxLine ? malformed : incomplete;
  if (end + 2 > maxLine) return malformed;
  const [, family, ...rest] = bytes.toString("latin1", 0, end).split(" ");
  const octets = end + 2;
  if (family === "UNKNOWN") return { kind: "header", octets, header: {} };
  const [source = "", destination = "", ...ports] = rest;
  const version = family === "TCP4" ? 4 : family === "TCP6" ? 6 : undefined;
  const isFine =
    ports.length === 2 && ports.every((port) => /^\d{1,5}$/.test(port) && Number(port) <= 65_535);
  if (version === undefined || !isFine) return malformed;
  // A scope, as in fe80::1%eth0, is no part of an address here.
  if ([source, destination].some((address) => address.includes("%") || isIP(address) !== version))
    return malformed;
  return header(octets, source, destination, Number(ports[0]), Number(ports[1]));
}

/** Version 2: a fixed head, addresses by family, and parameters that are passed over. */
function readBinary(bytes: Buffer): ReadHeader {
  if (bytes.length < 16) return incomplete;
  const [versionAndCommand, family] = [bytes[12]!, bytes[13]!];
  const length = bytes.readUInt16BE(14);
  if (versionAndCommand >> 4 !== 2 || length > maxParameters) return malformed;
  if (bytes.length < 16 + length) return incomplete;
  const octets = 16 + length;
  const command = versionAndCommand & 0x0f;
  if (command === 0) return { kind: "header", octets, header: {} };
  if (command !== 1) return malformed;
  const body = bytes.subarray(16, octets);
  if (family === 0x11 && length >= 12)
    return header(octets, ipv4(body, 0), ipv4(body, 4), body.readUInt16BE(8), body.readUInt16BE(10));
  if (family === 0x21 && length >= 36)
    return header(octets, ipv6(body, 0), ipv6(body, 16), body.readUInt16BE(32), body.readUInt16BE(34));
  // Other families say nothing of use, but are no mistake: AF_UNSPEC, and sockets of the same machine.
  return family === 0x00 || family >> 4 === 3 ? { kind: "header", octets, header: {} } : malformed;
}

function header(
  octets: number,
  source: string,
  destination: string,
  sourcePort: number,
  destinationPort: number,
): ReadHeader {
  return {
    kind: "header",
    octets,
    header: {
      source: { host: source, port: sourcePort },
      destination: { host: destination, port: destinationPort },
    },
  };
}

function ipv4(bytes: Buffer, at: number): string {
  return bytes.subarray(at, at + 4).join(".");
}

function ipv6(bytes: Buffer, at: number): string {
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(at + 2 * index).toString(16));
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}

/** True while what is there does not differ from the beginning of `whole`. */
function isPrefix(whole: Buffer, bytes: Buffer): boolean {
  const length = Math.min(whole.length, bytes.length);
  return bytes.subarray(0, length).equals(whole.subarray(0, length));
}

const signature = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");
const textStart = Buffer.from("PROXY ");
/** The longest line that version 1 allows, with its end. */
const maxLine = 107;
/** Of addresses and parameters together: far more than any balancer sends. */
const maxParameters = 4_096;
