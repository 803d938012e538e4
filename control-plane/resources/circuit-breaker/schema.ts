import { z } from "zod";
import { durationField } from "../fields/duration.ts";
import { isHeaderName } from "../fields/header-operations.ts";
import { hostField } from "../fields/host.ts";
import { dnsLabelField, dnsSubdomainField } from "../fields/names.ts";
import { integerField, portField } from "../fields/numbers.ts";
import { requireOne } from "../fields/require-one.ts";

const rate = z.number().superRefine((value, context) => {
  if (value > 0 && value <= 100) return;
  context.addIssue({
    code: "custom",
    message: `${value} is not a share of calls: it must be above 0 and at most 100`,
    params: { hint: "50 means: half of the calls" },
  });
});

const headerName = z.string().superRefine((name, context) => {
  if (isHeaderName(name)) return;
  context.addIssue({ code: "custom", message: `${JSON.stringify(name)} is not a header name` });
});

const headerValue = z.string().superRefine((value, context) => {
  if (/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) return;
  const params = { hint: "printable ASCII and Latin-1 only" };
  context.addIssue({ code: "custom", message: "can't stand in a header", params });
});

/** The words that the proxies know; also any status by its number. */
export const errorWords = ["5xx", "connect-failure", "reset", "timeout"] as const;

const errorWord = z.string().superRefine((word, context) => {
  if ((errorWords as readonly string[]).includes(word) || /^[2-5]\d\d$/.test(word)) return;
  const params = { hint: `one of ${errorWords.join(", ")}, or a status such as "429"` };
  context.addIssue({
    code: "custom",
    message: `${JSON.stringify(word)} is not a way in which a call fails`,
    params,
  });
});

const service = z.strictObject({
  host: hostField("none").describe("A service of the breaker's own namespace."),
  subset: dnsLabelField("a subset name").optional(),
  port: portField.optional().describe("Absent: every port has its own circuit."),
});

const target = z
  .strictObject({
    service: service.optional().describe("Every call of every proxy to this service."),
    route: z
      .strictObject({
        virtualService: dnsSubdomainField("the name of a VirtualService"),
        rule: z.string().min(1).optional().describe("Name of an http rule; absent: all its rules."),
      })
      .optional()
      .describe("Only calls that this rule routes; comes before a breaker for the service."),
  })
  .superRefine((given, context) => requireOne(context, given));

const fallback = z
  .strictObject({
    directResponse: z
      .strictObject({
        status: integerField("an HTTP status", 200, 599),
        body: z.string().max(65_536, { error: "is longer than 64 KiB" }).optional(),
        headers: z.record(headerName, headerValue).optional(),
      })
      .optional(),
    destination: z
      .strictObject({
        host: hostField("none"),
        subset: dnsLabelField("a subset name").optional(),
        port: z.strictObject({ number: portField }).optional(),
      })
      .optional()
      .describe("Another service; gets requests whose body was not sent yet."),
    lastGoodResponse: z
      .strictObject({
        maxAge: durationField(1).optional().describe("Default 5m."),
        maxBytes: integerField("a number of bytes", 1, 1_073_741_824)
          .optional()
          .describe("Of all kept bodies per circuit; default 1 MiB."),
        vary: z
          .array(headerName)
          .optional()
          .describe("Request headers that tell requests apart, besides authorization, cookie and accept*."),
      })
      .optional()
      .describe("The last answer below 300 to an equal GET or HEAD, with its age."),
  })
  .superRefine((given, context) => requireOne(context, given));

export const circuitBreakerSpec = z.strictObject({
  target,
  errorRate: rate.optional().describe("Percent of failed calls that opens the circuit; default 50."),
  slowCallRate: rate
    .optional()
    .describe("Percent of slow calls that opens the circuit; needs slowCallDuration."),
  slowCallDuration: durationField(1).optional().describe("A call without response headers by then is slow."),
  volumeThreshold: integerField("a number of calls", 1, 1_000_000)
    .optional()
    .describe("Calls in the window below which the circuit never opens; default 20."),
  rollingWindow: durationField(100).optional().describe("Over which calls are counted; default 10s."),
  resetTimeout: durationField(10).optional().describe("From open to the first probe; default 5s."),
  halfOpenProbes: integerField("a number of probes", 1, 1000)
    .optional()
    .describe("Probes that must all succeed to close the circuit; default 1."),
  errors: z
    .array(errorWord)
    .min(1)
    .optional()
    .describe("What counts as failed; default 5xx, connect-failure, reset, timeout."),
  fallback: fallback
    .optional()
    .describe(
      "What is answered for a failed call and while the circuit is open; absent: the error, or 503 (flag UO).",
    ),
});

export type CircuitBreakerSpec = z.infer<typeof circuitBreakerSpec>;
