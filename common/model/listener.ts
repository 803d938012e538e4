import type { RouteConfiguration } from "./route.ts";
import type { Source } from "./source.ts";

/** A socket that a proxy opens and what it does with a connection (Envoy's Listener). */
export interface Listener {
  /** "virtualOutbound", "virtualInbound", or `0.0.0.0_8080` style for gateways. */
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly direction: "outbound" | "inbound" | "gateway";
  /** The first chain that matches takes the connection. Today: exactly one, for HTTP. */
  readonly filterChains: readonly FilterChain[];
  readonly source?: Source;
}

export interface FilterChain {
  readonly name: string;
  readonly http: HttpConnectionManager;
}

/** What Envoy calls the HTTP connection manager: codec settings plus where its routes come from. */
export interface HttpConnectionManager {
  readonly statPrefix: string;
  readonly routes: RouteSource;
}

/** Routes named and fetched by RDS/VHDS, or carried inline (inbound). */
export type RouteSource =
  | { readonly kind: "rds"; readonly routeConfigName: string }
  | { readonly kind: "inline"; readonly configuration: RouteConfiguration };
