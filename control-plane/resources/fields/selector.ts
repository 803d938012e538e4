import { z } from "zod";
import { labelsField } from "./labels.ts";

/** Istio's WorkloadSelector. */
export const workloadSelectorField = z.strictObject({
  matchLabels: labelsField
    .optional()
    .describe(
      "Workloads that carry all these labels; of every namespace when the policy lies in the root namespace.",
    ),
});
