import type { Socket } from "node:net";
import type { Service } from "../layer.ts";
import type { HttpServerConnection, HttpServerOptions } from "../server-connection.ts";
import { Http2ServerConnection } from "./server-connection.ts";

/**
 * Speaks HTTP/2 on an accepted socket (opened with allowHalfOpen) until it closes, as a server with prior knowledge or after ALPN:
 * has `service` answer each stream as it comes.
 */
export function serveHttp2(
  socket: Socket,
  options: HttpServerOptions,
  service: Service,
): HttpServerConnection {
  const connection = new Http2ServerConnection(socket, options, service);
  connection.start(options.firstBytes);
  return connection;
}
