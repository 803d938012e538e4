import type { Labels } from "../../../common/model/endpoint.ts";
import type { Source } from "../../../common/model/source.ts";

export interface CompiledGateway {
  readonly kind: "Gateway";
  /** Gateway proxies that carry all these labels open the servers. */
  readonly selector: Labels;
  readonly servers: readonly CompiledServer[];
}

export interface CompiledServer {
  readonly port: number;
  readonly name: string;
  readonly protocol: "http";
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
