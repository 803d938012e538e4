import type { AccessControl } from "./authorization.ts";
import type { DnsTable } from "./dns.ts";
import type { EdgeSettings } from "./edge.ts";
import type { PathNormalization } from "./request-entry.ts";
import type { RouteConfiguration } from "./route.ts";
import type { Source } from "./source.ts";
import type { ServerTls } from "./tls.ts";

/** A socket that a proxy opens and what it does with a connection (Envoy's Listener). */
export interface Listener {
  /** "virtualOutbound", "virtualInbound", or `0.0.0.0_8080` style for gateways. */
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly direction: "outbound" | "inbound" | "gateway";
  /** False: no port is opened; connections come from the listener that `usesOriginalDestination` (Envoy's bind_to_port). */
  readonly bindsPort?: false;
  /**
   * A redirected connection goes to the listener of the address that it was meant for, or of its port on 0.0.0.0, when there is one
   * (Envoy's use_original_dst).
   */
  readonly usesOriginalDestination?: true;
  /** Every connection begins with a PROXY header, which says who the client is; without one it is refused (Envoy's proxy_protocol filter). */
  readonly expectsProxyHeader?: true;
  /**
   * The chain whose server names are the most specific for the connection takes it, in whatever order they stand; no two have
   * the same server name. Chains without server names take what is left, also what is not TLS.
   */
  readonly filterChains: readonly FilterChain[];
  /** It answers DNS questions, over UDP and TCP, and has no chains. */
  readonly dns?: DnsTable;
  readonly source?: Source;
}

/** What to do with a connection: HTTP, or its bytes to a cluster. */
export type FilterChain = HttpFilterChain | TcpFilterChain;

/** What a connection must be for a chain; what is absent may be anything (Envoy's FilterChainMatch, compared in this order). */
export interface ChainMatch {
  /** The port that the connection was meant for. */
  readonly destinationPort?: number;
  /** Addresses or CIDRs that the connection was meant for; the longest prefix wins. */
  readonly destinationCidrs?: readonly string[];
  /**
   * Server names (SNI) of TLS connections for this chain: exact or `*.suffix`, lower case. Empty or absent: any, and none.
   */
  readonly serverNames?: readonly string[];
  /** "tls": it begins with a ClientHello; "raw": it does not. */
  readonly transport?: "tls" | "raw";
  /** What TLS offers to speak (ALPN), one of these; how the mesh's own TLS is known. */
  readonly applicationProtocols?: readonly string[];
  /** Addresses or CIDRs that it comes from. */
  readonly sourceCidrs?: readonly string[];
}

interface FilterChainBase extends ChainMatch {
  /** Unique in its listener. */
  readonly name: string;
  /** Of a chain for TCP: the rule that made it, for access logs. */
  readonly source?: Source;
  /** Absent: the bytes are taken as they come; with `tcp` and server names that is TLS passed through. */
  readonly tls?: ServerTls;
}

export interface HttpFilterChain extends FilterChainBase {
  readonly http: HttpConnectionManager;
  readonly tcp?: undefined;
}

export interface TcpFilterChain extends FilterChainBase {
  readonly tcp: TcpProxy;
  readonly http?: undefined;
  /** Judged before the first byte is passed on; absent: all may connect. */
  readonly access?: AccessControl;
}

/** What Envoy calls the HTTP connection manager: codec settings plus where its routes come from. */
export interface HttpConnectionManager {
  readonly statPrefix: string;
  readonly routes: RouteSource;
  /** Absent: paths stay as they are sent. */
  readonly path?: PathNormalization;
  /** Absent: who connects belongs to the mesh. */
  readonly edge?: EdgeSettings;
  /** Absent: all may call. */
  readonly access?: AccessControl;
}

/** Envoy's tcp_proxy: each connection goes to one cluster, chosen by weight. */
export interface TcpProxy {
  readonly statPrefix: string;
  /** At least one; weights are ≥ 0 integers with a sum > 0. */
  readonly destinations: readonly { readonly cluster: string; readonly weight: number }[];
  /** ms without a byte in either direction until both connections end; 0: never; absent: `defaultTcpIdleTimeoutMs`. */
  readonly idleTimeoutMs?: number;
  /** ms after which the connection ends whatever it does. */
  readonly maxConnectionDurationMs?: number;
  /** Clusters with consistent hashing choose by the client's address (Envoy's hash_policy); absent: by chance. */
  readonly hashesBySource?: true;
}

/** Envoy's and Istio's: an hour. */
export const defaultTcpIdleTimeoutMs = 3_600_000;

/** Routes named and fetched by RDS/VHDS, or carried inline (inbound). */
export type RouteSource =
  | { readonly kind: "rds"; readonly routeConfigName: string }
  | { readonly kind: "inline"; readonly configuration: RouteConfiguration };
