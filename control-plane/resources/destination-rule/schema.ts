import { z } from "zod";
import { exportToField } from "../fields/export-to.ts";
import { hostField } from "../fields/host.ts";
import { labelsField } from "../fields/labels.ts";
import { dnsLabelField } from "../fields/names.ts";
import { notYet } from "../fields/not-yet.ts";
import { portField } from "../fields/numbers.ts";
import { connectionPoolField, retryBudgetField } from "./connection-pool.ts";
import { loadBalancerField } from "./load-balancer.ts";
import { outlierDetectionField } from "./outlier-detection.ts";
import { clientTlsField } from "./tls.ts";

const policyFields = {
  loadBalancer: loadBalancerField.optional(),
  connectionPool: connectionPoolField.optional(),
  outlierDetection: outlierDetectionField.optional(),
  tls: clientTlsField.optional().describe("How connections to the service are protected."),
};

const portPolicy = z.strictObject({
  port: z.strictObject({ number: portField }),
  ...policyFields,
});

const trafficPolicy = z.strictObject({
  ...policyFields,
  portLevelSettings: z
    .array(portPolicy)
    .optional()
    .describe(
      "For single ports. Replaces the fields beside it: what an entry leaves out has its default there.",
    ),
  retryBudget: retryBudgetField.optional().describe("How many requests may be retries at one time."),
  tunnel: notYet(),
  proxyProtocol: notYet(),
});

export const destinationRuleSpec = z.strictObject({
  host: hostField("suffix").describe("The service whose clients follow this rule."),
  trafficPolicy: trafficPolicy.optional(),
  subsets: z
    .array(
      z.strictObject({
        name: dnsLabelField("a subset name"),
        labels: labelsField.optional().describe("Endpoints that carry all of these belong to the subset."),
        trafficPolicy: trafficPolicy.optional().describe("Comes before the rule's own policy."),
      }),
    )
    .optional(),
  exportTo: exportToField.optional(),
  workloadSelector: notYet(),
});

export type DestinationRuleSpec = z.infer<typeof destinationRuleSpec>;
export type TrafficPolicyInput = z.infer<typeof trafficPolicy>;
export type PortPolicyInput = z.infer<typeof portPolicy>;
