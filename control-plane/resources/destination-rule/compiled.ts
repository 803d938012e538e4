import type { LoadBalancer } from "../../../common/model/cluster.ts";
import type { RetryBudget } from "../../../common/model/connection-pool.ts";
import type { Labels } from "../../../common/model/endpoint.ts";
import type { OutlierDetection } from "../../../common/model/outlier-detection.ts";
import type { HashPolicy } from "../../../common/model/route.ts";
import type { ClientTls } from "../../../common/model/tls.ts";
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
  readonly loadBalancer?: ServiceLoadBalancer;
  readonly connectionPool?: CompiledConnectionPool;
  readonly outlierDetection?: OutlierDetection;
  readonly tls?: ClientTls | "disable";
}

/** How a service's clients choose: what its clusters run, what its routes hash by, and how near endpoints come first. */
export interface ServiceLoadBalancer extends LoadBalancer {
  readonly hashPolicy?: HashPolicy;
  /** Absent: the mesh's own default, nearest first where something tells who is well. */
  readonly locality?: LocalityPolicy | "off";
}

/** Istio's localityLbSetting or zoneAwareLbSetting, enabled. */
export interface LocalityPolicy {
  /** Requests stay in the caller's zone as far as there is room; with fewer endpoints than this they go to the whole region. */
  readonly zoneAware?: { readonly minClusterSize: number };
  /** `from` and the keys of `to` are `region/zone/subzone`, shorter or with `*` at the end; the percents make 100. */
  readonly distribute: readonly { readonly from: string; readonly to: Readonly<Record<string, number>> }[];
  /** Regions: where the requests of `from` go when it fails. */
  readonly failover: readonly { readonly from: string; readonly to: string }[];
  /** Labels, `key` or `key=value`, the most important first. */
  readonly failoverPriority: readonly string[];
}
