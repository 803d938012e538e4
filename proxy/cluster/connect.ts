import type { Socket } from "node:net";
import type { Http2Keepalive, TcpKeepalive } from "../../common/model/connection-pool.ts";
import type { SocketAddress } from "../../common/model/node.ts";
import type { ClientTls } from "../../common/model/tls.ts";
import type { ClientConnection } from "../http/client-connection.ts";

/**
 * Opens a connection ready for its first exchange. Rejects with MeshError `connect_refused`, `connect_timeout` (after `timeoutMs`) or
 * `connect_failed`. With `http2` it speaks HTTP/2: in plain text by prior knowledge, over TLS when ALPN agrees, else HTTP/1.1.
 */
export type Connect = (
  address: SocketAddress,
  timeoutMs: number,
  keepalive?: TcpKeepalive,
  tls?: UpstreamTls,
  http2?: UpstreamHttp2,
) => Promise<ClientConnection>;

export interface UpstreamHttp2 {
  readonly keepalive?: Http2Keepalive | undefined;
  /** HTTP/1.1 in frames of HTTP/2 where the other end is one of our sidecars, else HTTP/1.1; only over the mesh's TLS. */
  readonly isShared?: boolean | undefined;
}

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
