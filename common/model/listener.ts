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
  /**
   * The chain whose server names are the most specific for the connection takes it, in whatever order they stand; no two have
   * the same server name. Chains without server names take what is left, also what is not TLS.
   */
  readonly filterChains: readonly FilterChain[];
  readonly source?: Source;
}

/** What to do with a connection: HTTP, or its bytes to a cluster. */
export type FilterChain = HttpFilterChain | TcpFilterChain;

interface FilterChainBase {
  /** Unique in its listener. */
  readonly name: string;
  /**
   * Server names (SNI) of TLS connections for this chain: exact or `*.suffix`, lower case. Empty or absent: any, and none.
   */
  readonly serverNames?: readonly string[];
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
}

/** What Envoy calls the HTTP connection manager: codec settings plus where its routes come from. */
export interface HttpConnectionManager {
  readonly statPrefix: string;
  readonly routes: RouteSource;
}

/** Envoy's tcp_proxy: each connection goes to one cluster, chosen by weight. */
export interface TcpProxy {
  readonly statPrefix: string;
  /** At least one; weights are ≥ 0 integers with a sum > 0. */
  readonly destinations: readonly { readonly cluster: string; readonly weight: number }[];
}

/** Routes named and fetched by RDS/VHDS, or carried inline (inbound). */
export type RouteSource =
  | { readonly kind: "rds"; readonly routeConfigName: string }
  | { readonly kind: "inline"; readonly configuration: RouteConfiguration };
