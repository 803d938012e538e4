import type { Socket } from "node:net";
import type { Service } from "../layer.ts";
import type { HttpServerConnection, HttpServerOptions } from "../server-connection.ts";
import { Http2ServerConnection } from "./server-connection.ts";

/**
 * Speaks HTTP/2 on an accepted socket (opened with allowHalfOpen) until it closes, as a server with prior knowledge or after ALPN:
 * has `service` answer each stream as it comes. `carriesHttp1`: the other end is one of our own sidecars, and the streams are requests of
 * HTTP/1.1 with their names in any case and the reason phrases of their answers; only the frames are those of HTTP/2.
 */
export function serveHttp2(
  socket: Socket,
  options: HttpServerOptions,
  service: Service,
  carriesHttp1 = false,
): HttpServerConnection {
  const connection = new Http2ServerConnection(socket, options, service, carriesHttp1);
  connection.start(options.firstBytes);
  return connection;
}
