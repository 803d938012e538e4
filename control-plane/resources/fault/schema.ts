import { z } from "zod";
import { grpcStatusNames } from "../../../common/model/grpc-status.ts";
import { durationField } from "../fields/duration.ts";
import { hostField } from "../fields/host.ts";
import { labelsField } from "../fields/labels.ts";
import { dnsLabelField, dnsSubdomainField } from "../fields/names.ts";
import { integerField, percentField, portField } from "../fields/numbers.ts";
import { requireOne } from "../fields/require-one.ts";

const target = z
  .strictObject({
    route: z
      .strictObject({
        virtualService: dnsSubdomainField("the name of a VirtualService"),
        rule: z.string().min(1).optional().describe("Name of an http rule; absent: all its rules."),
      })
      .optional()
      .describe("Requests that this rule routes; for delay, abort and responseBandwidth."),
    service: z
      .strictObject({
        host: hostField("none").describe("A service of the fault's own namespace."),
        port: portField.optional().describe("Absent: every port."),
      })
      .optional()
      .describe("Connections to this service whose bytes are passed on; for tcp."),
  })
  .superRefine((given, context) => requireOne(context, given));

const caller = z.strictObject({
  namespace: dnsLabelField("a namespace").optional().describe("Absent: any."),
  labels: labelsField.optional().describe("Proxies that carry all of these; absent: any."),
});

const share = percentField
  .optional()
  .describe(
    "Share of the requests or connections; absent: all. With fromHeader the most that a request may ask for.",
  );

const fromHeader = (headers: string) =>
  z.literal(true).optional().describe(`The request says it in ${headers}; without it nothing happens.`);

const kibPerSecond = integerField("a number of KiB per second", 1, 1_000_000_000);

const delay = z
  .strictObject({
    fixedDelay: durationField(1).optional(),
    exponentialDelay: durationField(1).optional().describe("The mean of exponentially distributed delays."),
    fromHeader: fromHeader("x-envoy-fault-delay-request, ms"),
    percentage: share,
  })
  .superRefine(({ percentage: _, ...given }, context) => requireOne(context, given));

const abort = z
  .strictObject({
    httpStatus: integerField("an HTTP status", 200, 599).optional(),
    grpcStatus: z.enum(grpcStatusNames).optional(),
    fromHeader: fromHeader("x-envoy-fault-abort-request or x-envoy-fault-abort-grpc-request"),
    percentage: share,
  })
  .superRefine(({ percentage: _, ...given }, context) => requireOne(context, given));

const responseBandwidth = z
  .strictObject({
    kibPerSecond: kibPerSecond.optional(),
    fromHeader: fromHeader("x-envoy-fault-throughput-response, KiB per second"),
    percentage: share,
  })
  .superRefine(({ percentage: _, ...given }, context) => requireOne(context, given));

const tcp = z
  .strictObject({
    delay: z.strictObject({ fixedDelay: durationField(1), percentage: share }).optional(),
    reset: z
      .strictObject({
        after: durationField(0).optional().describe("Since the connection was opened; default 0s, at once."),
        percentage: share,
      })
      .optional()
      .describe("Both ends are reset."),
    bandwidth: z
      .strictObject({ kibPerSecond, percentage: share })
      .optional()
      .describe("Each way for itself."),
  })
  .superRefine((given, context) => {
    if (Object.values(given).some((part) => part !== undefined)) return;
    const params = { hint: "give delay, reset or bandwidth" };
    context.addIssue({ code: "custom", message: "injects nothing", params });
  });

export const faultSpec = z.strictObject({
  target,
  callers: z
    .array(caller)
    .min(1, { error: "admits nobody" })
    .optional()
    .describe(
      "Whose proxies inject it: any of these; absent: all that run the rule. fromHeader needs it: only these callers may ask.",
    ),
  delay: delay.optional(),
  abort: abort.optional(),
  responseBandwidth: responseBandwidth.optional().describe("How fast the body of a response may be sent."),
  maxActive: integerField("a number of requests", 1, 1_000_000)
    .optional()
    .describe("Requests with a fault that one proxy may have under way; further ones pass unharmed."),
  tcp: tcp.optional(),
});

export type FaultSpec = z.infer<typeof faultSpec>;
