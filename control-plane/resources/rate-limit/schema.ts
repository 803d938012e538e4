import { z } from "zod";
import { durationField } from "../fields/duration.ts";
import { isHeaderName } from "../fields/header-operations.ts";
import { hostField } from "../fields/host.ts";
import { labelsField } from "../fields/labels.ts";
import { dnsLabelField, dnsSubdomainField } from "../fields/names.ts";
import { integerField } from "../fields/numbers.ts";
import { requireOne } from "../fields/require-one.ts";

const target = z
  .strictObject({
    workloads: labelsField
      .optional()
      .describe("Requests that come to sidecars with all of these labels; {} means all of the namespace."),
    service: z
      .strictObject({ host: hostField("none") })
      .optional()
      .describe("Requests that come to the sidecars of this service's workloads."),
    gateway: z
      .strictObject({ name: dnsSubdomainField("the name of a Gateway") })
      .optional()
      .describe("Requests that enter through this Gateway."),
    route: z
      .strictObject({
        virtualService: dnsSubdomainField("the name of a VirtualService"),
        rule: z.string().min(1).optional().describe("Name of an http rule; absent: all its rules."),
      })
      .optional()
      .describe("Requests that this rule routes, counted by each proxy that runs it."),
  })
  .superRefine((given, context) => requireOne(context, given));

const headerName = z.string().superRefine((name, context) => {
  if (isHeaderName(name)) return;
  context.addIssue({ code: "custom", message: `${JSON.stringify(name)} is not a header name` });
});

const keyPart = z
  .strictObject({
    header: headerName.optional(),
    queryParam: z.string().min(1).optional(),
    attribute: z
      .enum(["PATH", "METHOD", "HOST", "SOURCE_ADDRESS", "SOURCE_WORKLOAD", "SOURCE_IDENTITY"])
      .optional()
      .describe(
        "SOURCE_WORKLOAD is what the caller's sidecar says of itself; SOURCE_IDENTITY the SPIFFE ID that it proved, empty without mutual TLS.",
      ),
  })
  .superRefine((given, context) => requireOne(context, given));

const rule = z.strictObject({
  name: dnsLabelField("a rule name")
    .optional()
    .describe("Shows in RateLimit headers and metrics; default its position."),
  key: z
    .array(keyPart)
    .max(8, { error: "has more than 8 parts" })
    .optional()
    .describe(
      "Each combination of values has a bucket of its own; absent: one bucket. A missing value counts as empty.",
    ),
  limit: z.strictObject({
    requests: integerField("a number of requests", 1, 1_000_000_000),
    per: durationField(1).describe("The bucket is refilled evenly over this time."),
    burst: integerField("a number of requests", 1, 1_000_000_000)
      .optional()
      .describe("How many may come at once; default requests."),
  }),
  maxKeys: integerField("a number of keys", 1, 1_000_000)
    .optional()
    .describe("Buckets per proxy; when all are in use, further keys share one. Default 10000."),
});

export const rateLimitSpec = z.strictObject({
  target,
  rules: z.array(rule).min(1, { error: "limits nothing" }).describe("A request must pass all of them."),
  global: z
    .boolean()
    .optional()
    .describe(
      "All proxies share each limit: the control plane leases them shares by what they need. Default false: each proxy counts for itself.",
    ),
});

export type RateLimitSpec = z.infer<typeof rateLimitSpec>;
export type RateLimitKeyInput = z.infer<typeof keyPart>;
