import type { Labels } from "../../../common/model/endpoint.ts";
import type { Source } from "../../../common/model/source.ts";
import type { ServerTls } from "../../../common/model/tls.ts";

export interface CompiledGateway {
  readonly kind: "Gateway";
  /** Gateway proxies that carry all these labels open the servers. */
  readonly selector: Labels;
  readonly servers: readonly CompiledServer[];
}

export interface CompiledServer {
  readonly port: number;
  readonly name: string;
  /** An IP address of the gateway; absent: every one. */
  readonly bind?: string;
  /**
   * `passthrough`: TLS connections whose bytes go on as they are, by their server name. `tcp`: any connections, whose bytes go on.
   * `tls`: TLS ends here, and the bytes inside go on.
   */
  readonly protocol: "http" | "https" | "passthrough" | "tcp" | "tls";
  /** With `https` and `tls`. */
  readonly tls?: ServerTls;
  /** Every request is sent to https. */
  readonly httpsRedirect?: true;
  readonly hosts: readonly ServerHost[];
  readonly source: Source;
}

/** Istio's `namespace/host`: which VirtualServices may bind. */
export interface ServerHost {
  /** "*" any, "." the Gateway's own, or a name. */
  readonly namespace: string;
  /** Exact, `*.suffix` or `*`; lower case. */
  readonly host: string;
}
