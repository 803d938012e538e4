import type { Socket } from "node:net";
import type { TcpKeepalive } from "../../common/model/connection-pool.ts";
import type { SocketAddress } from "../../common/model/node.ts";
import type { ClientTls } from "../../common/model/tls.ts";
import type { ClientConnection } from "../http/client-connection.ts";

/**
 * Opens a connection ready for its first exchange. Rejects with MeshError `connect_refused`, `connect_timeout` (after `timeoutMs`) or
 * `connect_failed`.
 */
export type Connect = (
  address: SocketAddress,
  timeoutMs: number,
  keepalive?: TcpKeepalive,
  tls?: UpstreamTls,
) => Promise<ClientConnection>;

/**
 * Opens a connection for bytes that its caller speaks himself, offering `protocols` by ALPN where it is TLS. Rejects as `Connect` does.
 */
export type OpenSocket = (
  address: SocketAddress,
  timeoutMs: number,
  tls: UpstreamTls | undefined,
  protocols: readonly string[],
) => Promise<Socket>;

/** TLS, with what the server is known by when the settings name no SNI. */
export interface UpstreamTls {
  readonly settings: ClientTls;
  readonly serverName: string;
}
