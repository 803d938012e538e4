import type { Labels } from "../../../common/model/endpoint.ts";

/** Absent modes are UNSET: the more general policy's. */
export interface CompiledPeerAuthentication {
  readonly kind: "PeerAuthentication";
  /** Empty: it holds for its whole namespace. */
  readonly selector: Labels;
  readonly mode?: MutualTlsMode;
  /** By port of the workload. */
  readonly ports: ReadonlyMap<number, MutualTlsMode>;
}

export type MutualTlsMode = "disable" | "permissive" | "strict";
