import type { Socket } from "node:net";
import type { Service } from "../layer.ts";
import type { HttpServerConnection, HttpServerOptions } from "../server-connection.ts";
import { ServerConnection } from "./server-connection.ts";

/**
 * Speaks HTTP/1.1 on an accepted socket (opened with allowHalfOpen) until it closes: reads requests one at a time, has `service`
 * answer them, writes the answers in order.
 */
export function serveHttp1(
  socket: Socket,
  options: HttpServerOptions,
  service: Service,
): HttpServerConnection {
  const connection = new ServerConnection(socket, options, service);
  connection.start(options.firstBytes);
  return connection;
}
