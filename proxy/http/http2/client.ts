import type { Socket } from "node:net";
import type { Clock } from "../../../common/base/clock.ts";
import type { ClientConnection } from "../client-connection.ts";
import { Http2ClientConnection } from "./client-connection.ts";
import type { Http2ClientSettings } from "./client-settings.ts";
import { defaultHttp2ClientSettings } from "./client-settings.ts";

/**
 * Speaks HTTP/2 as a client on a socket that is connected (and, for TLS, through with its handshake): prior knowledge, or after ALPN.
 * `carriesHttp1`: as `serveHttp2` says.
 */
export function clientHttp2(
  socket: Socket,
  clock: Clock,
  settings: Http2ClientSettings = defaultHttp2ClientSettings,
  carriesHttp1 = false,
): ClientConnection {
  return new Http2ClientConnection(socket, clock, settings, carriesHttp1);
}
