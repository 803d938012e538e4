import type { LoadBalancer } from "../../../common/model/cluster.ts";
import { durationMs } from "../fields/duration.ts";
import { compileExportTo } from "../fields/export-to.ts";
import { resolveHost } from "../fields/host.ts";
import { compileLabels } from "../fields/labels.ts";
import type { SpecContext } from "../kind.ts";
import type { CompiledDestinationRule, TrafficPolicy } from "./compiled.ts";
import type { DestinationRuleSpec, TrafficPolicyInput } from "./schema.ts";

const balancers: Readonly<Record<string, LoadBalancer["kind"]>> = {
  ROUND_ROBIN: "round-robin",
  LEAST_REQUEST: "least-request",
  LEAST_CONN: "least-request",
  RANDOM: "random",
  PASSTHROUGH: "passthrough",
};

export function compileDestinationRule(
  spec: DestinationRuleSpec,
  context: SpecContext,
): CompiledDestinationRule {
  return {
    kind: "DestinationRule",
    host: resolveHost(spec.host, context.namespace),
    exportTo: compileExportTo(spec.exportTo),
    policy: compilePolicy(spec.trafficPolicy),
    subsets: (spec.subsets ?? []).map((subset) => ({
      name: subset.name,
      labels: compileLabels(subset.labels),
      policy: compilePolicy(subset.trafficPolicy),
    })),
  };
}

function compilePolicy(input: TrafficPolicyInput | undefined): TrafficPolicy {
  const kind = balancers[input?.loadBalancer?.simple ?? "UNSPECIFIED"];
  const connectTimeoutMs = durationMs(input?.connectionPool?.tcp?.connectTimeout);
  return {
    ...(kind === undefined ? {} : { loadBalancer: { kind } }),
    ...(connectTimeoutMs === undefined ? {} : { connectTimeoutMs }),
  };
}
