import { z } from "zod";
import { durationField } from "../fields/duration.ts";
import { exportToField } from "../fields/export-to.ts";
import { hostField } from "../fields/host.ts";
import { labelsField } from "../fields/labels.ts";
import { dnsLabelField } from "../fields/names.ts";
import { notYet } from "../fields/not-yet.ts";

const loadBalancer = z.strictObject({
  simple: z
    .enum(["UNSPECIFIED", "ROUND_ROBIN", "LEAST_REQUEST", "RANDOM", "PASSTHROUGH", "LEAST_CONN"])
    .optional()
    .describe("LEAST_CONN is the deprecated name of LEAST_REQUEST."),
  consistentHash: notYet("use simple: ROUND_ROBIN, LEAST_REQUEST or RANDOM"),
  localityLbSetting: notYet(),
  zoneAwareLbSetting: notYet(),
  warmupDurationSecs: notYet(),
  warmup: notYet(),
});

const connectionPool = z.strictObject({
  tcp: z
    .strictObject({
      connectTimeout: durationField(1).optional().describe("Default 10s."),
      maxConnections: notYet(),
      tcpKeepalive: notYet(),
      maxConnectionDuration: notYet(),
      idleTimeout: notYet(),
    })
    .optional(),
  http: notYet(),
});

const trafficPolicy = z.strictObject({
  loadBalancer: loadBalancer.optional(),
  connectionPool: connectionPool.optional(),
  outlierDetection: notYet(),
  tls: notYet(),
  portLevelSettings: notYet(),
  tunnel: notYet(),
  proxyProtocol: notYet(),
  retryBudget: notYet(),
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
