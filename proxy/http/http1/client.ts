import type { Socket } from "node:net";
import type { Clock } from "../../../common/base/clock.ts";
import type { ConnectTarget } from "../../net/connect.ts";
import { connect } from "../../net/connect.ts";
import type { ClientConnection } from "../client-connection.ts";
import type { Http1ClientSettings } from "./client-settings.ts";
import { defaultHttp1ClientSettings } from "./client-settings.ts";
import { UpstreamConnection } from "./upstream-connection.ts";

/**
 * Opens a connection to an endpoint. Rejects with MeshError `connect_refused`, `connect_timeout` or `connect_failed`.
 */
export async function connectHttp1(
  target: ConnectTarget,
  clock: Clock,
  settings: Http1ClientSettings = defaultHttp1ClientSettings,
): Promise<ClientConnection> {
  return clientHttp1(await connect(target, clock), clock, settings);
}

/** Speaks HTTP/1.1 as a client on a socket that is connected (and, for TLS, through with its handshake). */
export function clientHttp1(
  socket: Socket,
  clock: Clock,
  settings: Http1ClientSettings = defaultHttp1ClientSettings,
): ClientConnection {
  return new UpstreamConnection(socket, clock, settings);
}
