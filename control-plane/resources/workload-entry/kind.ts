import type { KindDefinition } from "../kind.ts";
import { defineNetworkingKind } from "../kind.ts";
import { compileWorkloadEntry } from "./compile.ts";
import { workloadEntrySpec } from "./schema.ts";
import { validateWorkloadEntry } from "./validate.ts";

/** One workload outside Kubernetes that ServiceEntries can select (Istio's WorkloadEntry). */
export const workloadEntry: KindDefinition = defineNetworkingKind({
  kind: "WorkloadEntry",
  plural: "workloadentries",
  shortNames: ["we"],
  columns: [
    {
      name: "Address",
      type: "string",
      jsonPath: ".spec.address",
      description: "Where the workload is reached",
    },
  ],
  schema: workloadEntrySpec,
  validate: validateWorkloadEntry,
  compile: compileWorkloadEntry,
});
