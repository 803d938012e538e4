import { createHash, randomBytes } from "node:crypto";
import type { HeaderList } from "../header-list.ts";

/**
 * RFC 8441 5: WebSocket over HTTP/2 has no handshake of keys, because nothing between could take it for something else. Where one side
 * speaks HTTP/1.1, this side plays the other's part.
 */

/** RFC 6455 1.3. */
const keySuffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** A request that came as extended CONNECT: gives it the key that an HTTP/1.1 server asks for. */
export function webSocketRequest(headers: HeaderList): void {
  headers.set("sec-websocket-key", randomBytes(16).toString("base64"));
}

/** An answer that goes out as the 200 of an extended CONNECT. */
export function acceptedTunnel(headers: HeaderList): void {
  headers.remove("sec-websocket-accept");
}

/** A request that goes out as extended CONNECT: takes its key away and returns it. */
export function takeWebSocketKey(headers: HeaderList): string | undefined {
  const key = headers.get("sec-websocket-key");
  headers.remove("sec-websocket-key");
  return key;
}

/** What a server answers to a key (RFC 6455 4.2.2). */
export function webSocketAccept(key: string): string {
  return createHash("sha1")
    .update(key + keySuffix)
    .digest("base64");
}
