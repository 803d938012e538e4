import type { WorkloadEndpointInput } from "../fields/workload-endpoint.ts";
import { workloadEndpointField } from "../fields/workload-endpoint.ts";

export const workloadEntrySpec = workloadEndpointField;
export type WorkloadEntrySpec = WorkloadEndpointInput;
