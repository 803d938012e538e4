import type { Workload } from "../../common/model/endpoint.ts";
import type { PeerIdentity } from "../../common/model/identity.ts";
import type { SocketAddress } from "../../common/model/node.ts";
import type { Source } from "../../common/model/source.ts";
import type { ErrorCode } from "../errors.ts";

/** Where a connection came in. */
export interface TcpDownstream {
  readonly remote: SocketAddress;
  readonly local: SocketAddress;
  readonly listener: string;
  readonly direction: "outbound" | "inbound" | "gateway";
  /** "https" when TLS was ended here. */
  readonly scheme: "http" | "https";
  /** Where it was meant to go before it was redirected to this proxy; absent in explicit mode. */
  readonly destination?: SocketAddress;
  /** The TLS server name that the client asked for, whoever ends TLS. */
  readonly serverName?: string;
  /** Who the client proved to be by mutual TLS. */
  readonly peer?: PeerIdentity;
}

/** One connection whose bytes are passed on, and what becomes of it; for metrics and access log. */
export class TcpConnection {
  readonly downstream: TcpDownstream;
  /** Monotonic ms. */
  readonly startedAt: number;
  /** The filter chain that took it; "" when there was none. */
  readonly chain: string;
  readonly source: Source | undefined;
  cluster = "";
  upstream:
    | { readonly address: string; readonly workload: Workload | undefined; readonly spiffeId?: string }
    | undefined = undefined;
  /** `ip:port` of our end towards the upstream. */
  upstreamLocal: string | undefined = undefined;
  /** Who sent it, when its certificate says so. */
  peer: Workload | undefined = undefined;
  attempts = 0;
  /** Bytes from and to the downstream. */
  bytesReceived = 0;
  bytesSent = 0;
  /** Monotonic ms; 0 while it is open. */
  finishedAt = 0;
  /** Envoy's response flags, separated by commas; "" is printed as "-". */
  flags = "";
  /** Why it ended, when it was not one of the two sides: %CONNECTION_TERMINATION_DETAILS%. */
  detail = "";
  /** Who kept it out, and why. */
  denial: string | undefined = undefined;
  errorCode: ErrorCode | undefined = undefined;

  constructor(init: {
    readonly downstream: TcpDownstream;
    readonly startedAt: number;
    readonly chain: string;
    readonly source?: Source | undefined;
  }) {
    this.downstream = init.downstream;
    this.startedAt = init.startedAt;
    this.chain = init.chain;
    this.source = init.source;
  }
}

/** Hears of connections that are passed on. */
export interface TcpObserver {
  /** Its upstream is open; bytes begin to flow. Not called for one that never got there. */
  opened(connection: TcpConnection): void;
  /** It is over; called once for every connection. */
  closed(connection: TcpConnection): void;
}
