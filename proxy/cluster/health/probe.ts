import type { Socket } from "node:net";
import type { Clock } from "../../../common/base/clock.ts";
import type { HealthProbe } from "../../../common/model/health-check.ts";
import type { ClientConnection } from "../../http/client-connection.ts";
import { GrpcProber } from "./grpc-probe.ts";
import { HttpProber } from "./http-probe.ts";
import { TcpProber } from "./tcp-probe.ts";

/** How one check went. `atOnce`: the endpoint is not well whatever it was before. */
export type ProbeResult =
  | { readonly isWell: true }
  | { readonly isWell: false; readonly why: string; readonly atOnce?: boolean };

/** Asks one endpoint, one check at a time, over a connection that it may keep between checks. */
export interface Prober {
  /** Never rejects. */
  ask(): Promise<ProbeResult>;
  /** Gives up the check under way, whose result counts no more, and closes what it holds. May be used again. */
  close(): void;
}

/** What a prober needs of the endpoint that it asks. */
export interface ProbeTarget {
  readonly connect: () => Promise<ClientConnection>;
  /** `protocols`: for ALPN, where the cluster speaks TLS. */
  readonly open: (protocols: readonly string[]) => Promise<Socket>;
  readonly scheme: "http" | "https";
  /** What is asked for where the probe names no host. */
  readonly host: string;
  readonly reusesConnection: boolean;
  readonly clock: Clock;
}

export function createProber(probe: HealthProbe, target: ProbeTarget): Prober {
  switch (probe.kind) {
    case "http":
      return new HttpProber(probe, target);
    case "tcp":
      return new TcpProber(probe, target);
    case "grpc":
      return new GrpcProber(probe, target);
  }
}
