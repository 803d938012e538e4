import { compileExportTo } from "../fields/export-to.ts";
import { resolveHost } from "../fields/host.ts";
import { compileLabels } from "../fields/labels.ts";
import type { SpecContext } from "../kind.ts";
import type { CompiledDestinationRule, TrafficPolicy } from "./compiled.ts";
import { compileConnectionPool, compileRetryBudget } from "./connection-pool.ts";
import { compileLoadBalancer } from "./load-balancer.ts";
import { compileOutlierDetection } from "./outlier-detection.ts";
import type { DestinationRuleSpec, PortPolicyInput, TrafficPolicyInput } from "./schema.ts";
import { compileClientTls } from "./tls.ts";

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
  if (input === undefined) return {};
  const { retryBudget, portLevelSettings } = input;
  return {
    ...compileFields(input),
    ...(retryBudget && { retryBudget: compileRetryBudget(retryBudget) }),
    ...(portLevelSettings && {
      ports: portLevelSettings.map((entry) => ({ port: entry.port.number, ...compileFields(entry) })),
    }),
  };
}

function compileFields({
  loadBalancer,
  connectionPool,
  outlierDetection,
  tls,
}: TrafficPolicyInput | PortPolicyInput): TrafficPolicy {
  const balancer = loadBalancer && compileLoadBalancer(loadBalancer);
  return {
    ...(balancer && { loadBalancer: balancer }),
    ...(connectionPool && { connectionPool: compileConnectionPool(connectionPool) }),
    ...(outlierDetection && { outlierDetection: compileOutlierDetection(outlierDetection) }),
    ...(tls && { tls: compileClientTls(tls) }),
  };
}
