import type { LoadBalancer } from "../../../common/model/cluster.ts";
import type { Labels } from "../../../common/model/endpoint.ts";

export interface CompiledDestinationRule {
  readonly kind: "DestinationRule";
  /** Fully qualified and lower case. */
  readonly host: string;
  readonly exportTo: readonly string[];
  readonly policy: TrafficPolicy;
  readonly subsets: readonly CompiledSubset[];
}

export interface CompiledSubset {
  readonly name: string;
  readonly labels: Labels;
  /** What the subset says itself; what it leaves out comes from the rule's policy. */
  readonly policy: TrafficPolicy;
}

export interface TrafficPolicy {
  readonly loadBalancer?: LoadBalancer;
  /** connectionPool.tcp.connectTimeout, ms. */
  readonly connectTimeoutMs?: number;
}
