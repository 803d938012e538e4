import type { Labels } from "../../../common/model/endpoint.ts";
import type { FaultPolicy } from "../../../common/model/route.ts";
import type { TcpFault } from "../../../common/model/tcp-fault.ts";

export interface CompiledFault {
  readonly kind: "Fault";
  readonly target: FaultTarget;
}

/** Both lie in the namespace of the Fault. */
export type FaultTarget =
  | {
      readonly kind: "route";
      readonly virtualService: string;
      /** Name of an http rule; absent: all of them. */
      readonly rule?: string;
      /** Absent: every proxy that runs the rule. */
      readonly callers?: readonly FaultCaller[];
      readonly policy: FaultPolicy;
    }
  | { readonly kind: "service"; readonly host: string; readonly port?: number; readonly policy: TcpFault };

/** Proxies that inject a fault; what is absent is any. */
export interface FaultCaller {
  readonly namespace?: string;
  readonly labels?: Labels;
}
