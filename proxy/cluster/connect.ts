import type { Socket } from "node:net";
import { isIP } from "node:net";
import type { Cluster } from "../../common/model/cluster.ts";
import type { Http2Keepalive, TcpKeepalive } from "../../common/model/connection-pool.ts";
import type { SocketAddress } from "../../common/model/node.ts";
import type { ClientTls } from "../../common/model/tls.ts";
import type { ClientConnection } from "../http/client-connection.ts";

/**
 * Opens a connection ready for its first exchange. Rejects with MeshError `connect_refused`, `connect_timeout` (after `timeoutMs`) or
 * `connect_failed`. With `http2` it speaks HTTP/2: in plain text by prior knowledge, over TLS when ALPN agrees, else HTTP/1.1.
 */
export type Connect = (
  address: DialAddress,
  timeoutMs: number,
  keepalive?: TcpKeepalive,
  tls?: UpstreamTls,
  http2?: UpstreamHttp2,
) => Promise<ClientConnection>;

/** Where to, and from which of our own addresses when that matters. */
export interface DialAddress extends SocketAddress {
  readonly from?: string | undefined;
}

/** The one of a cluster's `bindAddresses` that can reach an IP address; undefined: the system chooses. */
export function bindAddressTo(
  address: string,
  { bindAddresses = [] }: Pick<Cluster, "bindAddresses">,
): string | undefined {
  const family = isIP(address);
  return bindAddresses.find((candidate) => isIP(candidate) === family);
}

export interface UpstreamHttp2 {
  readonly keepalive?: Http2Keepalive | undefined;
  /** HTTP/1.1 in frames of HTTP/2 where the other end is one of our sidecars, else HTTP/1.1; only over the mesh's TLS. */
  readonly isShared?: boolean | undefined;
}

/**
 * Opens a connection for bytes that its caller speaks himself, offering `protocols` by ALPN where it is TLS. Rejects as `Connect` does.
 */
export type OpenSocket = (
  address: DialAddress,
  timeoutMs: number,
  tls: UpstreamTls | undefined,
  protocols: readonly string[],
) => Promise<Socket>;

/** TLS, with what the server is known by when the settings name no SNI. */
export interface UpstreamTls {
  readonly settings: ClientTls;
  readonly serverName: string;
}
