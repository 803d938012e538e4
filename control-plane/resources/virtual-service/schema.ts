import { z } from "zod";
import { durationField } from "../fields/duration.ts";
import { exportToField } from "../fields/export-to.ts";
import { gatewayNameField } from "../fields/gateway-name.ts";
import { headersField, isHeaderName } from "../fields/header-operations.ts";
import { hostField } from "../fields/host.ts";
import { labelsField } from "../fields/labels.ts";
import { dnsLabelField, dnsSubdomainField } from "../fields/names.ts";
import { notYet } from "../fields/not-yet.ts";
import { integerField, percentField, portField, weightField } from "../fields/numbers.ts";
import { regexField } from "../fields/regex.ts";
import { presenceMatchField, stringMatchField, withoutHeaderMatchField } from "../fields/string-match.ts";
import { claimPath } from "./claims.ts";
import { corsPolicyField } from "./cors.ts";
import { faultField } from "./fault.ts";
import { retriesField } from "./retries.ts";
import { tcpRule } from "./tcp.ts";
import { tlsRule } from "./tls.ts";

const pseudoHeaders = new Set([":method", ":scheme", ":authority", ":path"]);

const matchedHeaderName = z.string().superRefine((name, context) => {
  const quoted = JSON.stringify(name);
  const refuse = (message: string, hint: string) =>
    context.addIssue({ code: "custom", message, params: { hint } });
  if (name.startsWith("@")) {
    if (claimPath(name) === undefined)
      refuse(
        `${quoted} names no claim`,
        "write @request.auth.claims.NAME or @request.auth.claims[NAME][NAME]",
      );
  } else if (!pseudoHeaders.has(name) && !isHeaderName(name))
    refuse(`${quoted} is not a header name`, "letters, digits and -");
  else if (name !== name.toLowerCase())
    refuse(`${quoted} has upper-case letters`, `write ${name.toLowerCase()}`);
});

const portSelector = z.strictObject({ number: portField });

const destination = z.strictObject({
  host: hostField("none").describe("A service: its short name in the same namespace, or its full name."),
  subset: dnsLabelField("a subset name").optional().describe("A subset of the host's DestinationRule."),
  port: portSelector.optional().describe("Needed when the service has several ports."),
});

const httpMatch = z.strictObject({
  name: z.string().optional(),
  uri: stringMatchField.optional(),
  ignoreUriCase: z.boolean().optional().describe("For exact and prefix matches of uri."),
  scheme: stringMatchField.optional(),
  method: stringMatchField.optional(),
  authority: stringMatchField.optional(),
  headers: z
    .record(matchedHeaderName, presenceMatchField)
    .optional()
    .describe(
      "Lower-case names; {} asks for presence. @request.auth.claims.NAME: a claim of the token that the gateway verified.",
    ),
  withoutHeaders: z.record(matchedHeaderName, withoutHeaderMatchField).optional(),
  queryParams: z.record(z.string().min(1), presenceMatchField).optional(),
  port: portField.optional(),
  sourceLabels: labelsField.optional(),
  sourceNamespace: dnsLabelField("a namespace").optional(),
  gateways: z.array(gatewayNameField).optional(),
  statPrefix: notYet("per-route metrics carry the rule's name"),
});

const routeDestination = z.strictObject({
  destination,
  weight: weightField.optional().describe("Share of the sum of all weights."),
  headers: headersField.optional(),
});

const redirect = z.strictObject({
  uri: z.string().optional().describe("Replaces the whole path."),
  prefixRewrite: z.string().optional().describe("Replaces the matched prefix."),
  authority: z.string().optional(),
  scheme: z.enum(["http", "https"]).optional(),
  port: portField.optional(),
  derivePort: z.enum(["FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"]).optional(),
  redirectCode: z
    .int()
    .superRefine((code, context) => {
      if ([301, 302, 303, 307, 308].includes(code)) return;
      const params = { hint: "one of 301, 302, 303, 307, 308" };
      context.addIssue({ code: "custom", message: `${code} is not a redirect status`, params });
    })
    .optional(),
});

const rewrite = z.strictObject({
  uri: z.string().optional().describe("Replaces the matched prefix, or the whole path of an exact match."),
  uriRegexRewrite: z.strictObject({ match: regexField, rewrite: z.string() }).optional(),
  authority: z.string().optional(),
});

const directResponse = z.strictObject({
  status: integerField("an HTTP status", 200, 599),
  body: z
    .strictObject({ string: z.string().optional(), bytes: z.base64({ error: "is not base64" }).optional() })
    .optional()
    .describe("Text, or bytes in base64; less than 1 MiB."),
});

const delegate = z.strictObject({
  name: dnsSubdomainField("the name of a VirtualService").optional(),
  namespace: dnsLabelField("a namespace").optional(),
});

const mirrorPercent = integerField("a percentage", 0, 100)
  .optional()
  .describe("Deprecated, use mirrorPercentage.");

export const httpRule = z.strictObject({
  name: z.string().optional().describe("Shows in access logs, metrics and explain."),
  match: z.array(httpMatch).optional().describe("Any of these; none matches everything."),
  route: z.array(routeDestination).optional(),
  redirect: redirect.optional(),
  directResponse: directResponse.optional(),
  delegate: delegate
    .optional()
    .describe(
      "A VirtualService without hosts, whose http rules replace this one and take from it what they leave out.",
    ),
  rewrite: rewrite.optional(),
  timeout: durationField().optional().describe("Whole request with retries; none when absent or 0s."),
  retries: retriesField.optional(),
  fault: faultField.optional(),
  mirror: destination.optional(),
  mirrors: z.array(z.strictObject({ destination, percentage: percentField.optional() })).optional(),
  mirrorPercentage: percentField.optional(),
  mirrorPercent,
  mirror_percent: mirrorPercent,
  corsPolicy: corsPolicyField.optional(),
  headers: headersField.optional(),
  rateLimit: notYet(),
});

export const virtualServiceSpec = z.strictObject({
  hosts: z.array(hostField("any")).optional().describe("What requests ask for. Absent on a delegate."),
  gateways: z.array(gatewayNameField).optional().describe('Default: ["mesh"], all sidecars.'),
  http: z.array(httpRule).optional().describe("The first rule that matches decides."),
  tls: z
    .array(tlsRule)
    .optional()
    .describe(
      "Where TLS is passed on: connections go by the server name (SNI) that they ask for. For sidecars, and gateway servers with PASSTHROUGH.",
    ),
  tcp: z
    .array(tcpRule)
    .optional()
    .describe("For ports that speak neither HTTP nor passed-on TLS. The first rule that matches decides."),
  exportTo: exportToField.optional(),
});

export type VirtualServiceSpec = z.infer<typeof virtualServiceSpec>;
export type HttpRule = z.infer<typeof httpRule>;
export type HttpMatch = z.infer<typeof httpMatch>;
export type DestinationInput = z.infer<typeof destination>;
export type RedirectInput = z.infer<typeof redirect>;
export type RewriteInput = z.infer<typeof rewrite>;
export type DirectResponseInput = z.infer<typeof directResponse>;
