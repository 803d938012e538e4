import type { LoadBalancer } from "../../../common/model/cluster.ts";
import type { RetryBudget } from "../../../common/model/connection-pool.ts";
import type { Labels } from "../../../common/model/endpoint.ts";
import type { OutlierDetection } from "../../../common/model/outlier-detection.ts";
import type { CompiledConnectionPool } from "./connection-pool.ts";

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

export interface TrafficPolicy extends PolicyFields {
  readonly retryBudget?: RetryBudget;
  /** Each replaces the fields that it shares with the policy around it. */
  readonly ports?: readonly PortPolicy[];
}

export interface PortPolicy extends PolicyFields {
  readonly port: number;
}

interface PolicyFields {
  readonly loadBalancer?: LoadBalancer;
  readonly connectionPool?: CompiledConnectionPool;
  readonly outlierDetection?: OutlierDetection;
}
