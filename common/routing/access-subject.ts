import type { TokenClaims } from "../model/authentication.ts";
import type { RequestView } from "./request-view.ts";

/** What the matcher reads of a connection, and of a request on it. The proxy makes it of what it knows, `weft explain` of its arguments. */
export interface AccessSubject {
  /** Absent: a connection whose bytes nobody reads. */
  readonly request?: RequestView | undefined;
  /** Of the request, worked out once for all policies; absent: it is worked out from the request each time. */
  readonly path?: string | undefined;
  /** The same for its authority in the form that is compared. */
  readonly authority?: string | undefined;
  /** The address at the other end of the connection. */
  readonly sourceIp: string;
  /** The client's address: the same, or what trusted proxies say of it. */
  readonly remoteIp: string;
  readonly destinationIp: string;
  readonly destinationPort: number;
  /** The TLS server name asked for. */
  readonly serverName?: string | undefined;
  /** Who the peer proved to be; absent: nobody. */
  readonly peer?: AccessPeer | undefined;
  /** Of the verified token; absent without one. */
  readonly claims?: TokenClaims | undefined;
}

export interface AccessPeer {
  readonly spiffeId: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}
