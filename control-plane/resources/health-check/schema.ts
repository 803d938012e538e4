import { z } from "zod";
import { durationField } from "../fields/duration.ts";
import { isHeaderName } from "../fields/header-operations.ts";
import { hostField } from "../fields/host.ts";
import { dnsLabelField } from "../fields/names.ts";
import { integerField, portField } from "../fields/numbers.ts";
import { requireOne } from "../fields/require-one.ts";

const statusRange = z
  .string({
    error: ({ input }) => (typeof input === "number" ? `${input} is a number: write "${input}"` : undefined),
  })
  .superRefine((text, context) => {
    const [, first = "", last = first] = /^([1-5]\d\d)(?:-([1-5]\d\d))?$/.exec(text) ?? [];
    if (first !== "" && first <= last) return;
    const params = { hint: 'such as "200", or "200-299"' };
    context.addIssue({
      code: "custom",
      message: `${JSON.stringify(text)} is not a status or a range of them`,
      params,
    });
  });

const headerName = z.string().superRefine((name, context) => {
  if (isHeaderName(name)) return;
  context.addIssue({ code: "custom", message: `${JSON.stringify(name)} is not a header name` });
});

const visibleText = (noun: string) =>
  z
    .string()
    .regex(/^[\x20-\x7e]*$/, { error: ({ input }) => `${JSON.stringify(input)} can't stand in ${noun}` });

const http = z.strictObject({
  path: z
    .string()
    .regex(/^\/[\x21-\x7e]*$/, {
      error: ({ input }) => `${JSON.stringify(input)} is not a path: it begins with / and has no spaces`,
    })
    .optional()
    .describe("With a query where one is needed; default /."),
  method: z.enum(["GET", "HEAD", "POST", "PUT", "OPTIONS"]).optional().describe("Default GET."),
  host: visibleText("a host")
    .min(1)
    .optional()
    .describe("What the request asks for; default the service's host."),
  headers: z.record(headerName, visibleText("a header")).optional().describe("Sent with each request."),
  expectedStatuses: z
    .array(statusRange)
    .min(1)
    .optional()
    .describe('Statuses, and ranges such as "200-299", of an endpoint that is well; default 200-299.'),
});

const tcp = z.strictObject({
  send: z.string().min(1).optional().describe("Sent once connected; absent: nothing."),
  receive: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe("What must come back, in this order; absent: that the connection opens is enough."),
});

const grpc = z.strictObject({
  service: z.string().optional().describe("Asked for by this name; default empty, the server as a whole."),
  authority: visibleText("an authority").min(1).optional().describe("Default the service's host."),
});

const service = z.strictObject({
  host: hostField("none").describe("A service of the check's own namespace."),
  subset: dnsLabelField("a subset name").optional().describe("Absent: the service and all its subsets."),
  port: portField.optional().describe("Absent: every port."),
});

export const healthCheckSpec = z.strictObject({
  target: z
    .strictObject({
      service: service.optional().describe("Its endpoints are checked by everyone who calls it."),
    })
    .superRefine((given, context) => requireOne(context, given)),
  http: http.optional().describe("A request, whose status tells; in HTTP/2 at ports that speak it."),
  tcp: tcp.optional().describe("A connection, and what is said on it."),
  grpc: grpc
    .optional()
    .describe(
      "grpc.health.v1.Health/Check at ports that speak HTTP/2 (protocol GRPC or HTTP2); only SERVING is well.",
    ),
  interval: durationField(100).optional().describe("Between two checks of an endpoint; default 10s."),
  unhealthyInterval: durationField(100)
    .optional()
    .describe("The same for an endpoint that is not well; default interval."),
  noTrafficInterval: durationField(100)
    .optional()
    .describe("The same for a caller that has not called the service yet; default 60s."),
  intervalJitter: durationField()
    .optional()
    .describe("At most, at random, added to each interval; default a tenth of whichever interval is due."),
  initialJitter: durationField()
    .optional()
    .describe("At most, at random, before an endpoint's first check; default 1s."),
  timeout: durationField(10).optional().describe("Of a check; default 2s."),
  unhealthyThreshold: integerField("a number of checks", 1, 1_000)
    .optional()
    .describe(
      "Failures in a row that take an endpoint out, but for its first check, which counts at once; default 3.",
    ),
  healthyThreshold: integerField("a number of checks", 1, 1_000)
    .optional()
    .describe("Successes in a row that bring it back; default 2."),
  reuseConnection: z
    .boolean()
    .optional()
    .describe("One connection for all checks of an endpoint; default true."),
  minHealthPercent: integerField("a percentage", 0, 100)
    .optional()
    .describe(
      "With fewer healthy endpoints than this all are called, because then it is rather the check that is wrong; default outlierDetection's, without that 50.",
    ),
  endsEjection: z
    .boolean()
    .optional()
    .describe(
      "Whether a check that is passed brings back whom outlier detection has ejected; default false.",
    ),
});

export type HealthCheckSpec = z.infer<typeof healthCheckSpec>;
