import type { ServiceEndpoint } from "../../../common/model/service.ts";

export interface CompiledWorkloadEntry {
  readonly kind: "WorkloadEntry";
  /** Its workload's labels are what ServiceEntries select and subsets filter by. */
  readonly endpoint: ServiceEndpoint;
}
