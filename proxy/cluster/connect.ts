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

/** TLS, with what the server is known by when the settings name no SNI. */
export interface UpstreamTls {
  readonly settings: ClientTls;
  readonly serverName: string;
}
