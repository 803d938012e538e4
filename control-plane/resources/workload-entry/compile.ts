import { compileWorkloadEndpoint, mergeLabels } from "../fields/workload-endpoint.ts";
import type { SpecContext } from "../kind.ts";
import type { CompiledWorkloadEntry } from "./compiled.ts";
import type { WorkloadEntrySpec } from "./schema.ts";

export function compileWorkloadEntry(spec: WorkloadEntrySpec, context: SpecContext): CompiledWorkloadEntry {
  const labels = mergeLabels(context.labels, spec.labels);
  return {
    kind: "WorkloadEntry",
    endpoint: compileWorkloadEndpoint(spec, context.namespace, context.name, labels),
  };
}
