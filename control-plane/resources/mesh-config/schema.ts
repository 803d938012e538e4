import { z } from "zod";
import { hostText } from "../authorization-policy/texts.ts";
import { cidrField } from "../fields/cidr.ts";
import { durationField } from "../fields/duration.ts";
import { dnsLabelField } from "../fields/names.ts";
import { integerField } from "../fields/numbers.ts";
import { requireOne } from "../fields/require-one.ts";

/** Names of headers; `*` at one end. */
const headerNames = z
  .array(
    z.string().superRefine((text, context) => {
      if (/^\*?[A-Za-z0-9-]+\*?$/.test(text) && !/^\*.*\*$/.test(text)) return;
      const hint = "write a name, prefix* or *suffix";
      context.addIssue({
        code: "custom",
        message: `${JSON.stringify(text)} is not a header`,
        params: { hint },
      });
    }),
  )
  .optional();

const asked = {
  service: z.string().min(1).describe("Who is asked: HOST or NAMESPACE/HOST, as services are called."),
  port: integerField("a port", 1, 65_535),
  timeout: durationField(1)
    .optional()
    .describe("How long an answer is waited for. Default 600s, as in Istio."),
  failOpen: z.boolean().optional().describe("Whether requests pass when nobody answers. Default false."),
  clearRouteCache: z
    .boolean()
    .optional()
    .describe("Whether the route is chosen after the answer. It always is."),
  statusOnError: z
    .string()
    .regex(/^[1-5]\d\d$/)
    .optional()
    .describe('The answer when nobody answers. Default "403".'),
  includeRequestBodyInCheck: z
    .strictObject({
      maxRequestBytes: integerField("a number of bytes", 1, 16 * 1024 * 1024),
      allowPartialMessage: z
        .boolean()
        .optional()
        .describe("Whether a longer body is shown in part, not refused with 413."),
      packAsBytes: z
        .boolean()
        .optional()
        .describe("gRPC: whether the body goes as bytes, which need not be UTF-8."),
    })
    .optional(),
};

const headers = z.record(z.string().regex(/^[A-Za-z0-9-]+$/), z.string());

const envoyExtAuthzHttp = z.strictObject({
  ...asked,
  pathPrefix: z.string().startsWith("/").optional().describe("Stands before the path that is asked about."),
  includeRequestHeadersInCheck: headerNames,
  includeHeadersInCheck: headerNames,
  includeAdditionalHeadersInCheck: headers.optional(),
  headersToUpstreamOnAllow: headerNames,
  headersToDownstreamOnDeny: headerNames,
  headersToDownstreamOnAllow: headerNames,
});

const envoyExtAuthzGrpc = z.strictObject(asked);

const extensionProvider = z
  .strictObject({
    name: dnsLabelField("the name of a provider"),
    envoyExtAuthzHttp: envoyExtAuthzHttp.optional(),
    envoyExtAuthzGrpc: envoyExtAuthzGrpc.optional(),
  })
  .superRefine(({ name: _, ...kinds }, context) => requireOne(context, kinds));

const limit = (what: string) => integerField(what, 1, 1_000_000_000).optional();

const edge = z.strictObject({
  pathNormalization: z
    .enum(["NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"])
    .optional()
    .describe("Default MERGE_SLASHES, or what the mesh says when that does more."),
  pathParameters: z
    .enum(["KEEP", "STRIP", "REJECT"])
    .optional()
    .describe("What /admin;x=y becomes. Default REJECT: frameworks cut it off, policies would not see it."),
  pathWithEscapedSlashesAction: z
    .enum(["KEEP_UNCHANGED", "REJECT_REQUEST", "UNESCAPE_AND_REDIRECT", "UNESCAPE_AND_FORWARD"])
    .optional()
    .describe("What /a%2Fb becomes. Default UNESCAPE_AND_REDIRECT."),
  headersWithUnderscoresAction: z
    .enum(["ALLOW", "REJECT_REQUEST", "DROP_HEADER"])
    .optional()
    .describe("Default REJECT_REQUEST."),
  maxRequestHeadersKb: limit("a number of KiB").describe("Default 60."),
  maxHeadersCount: limit("a number of headers").describe("Default 100."),
  listenerConnectionLimit: limit("a number of connections").describe(
    "Connections of one port at once. Default 10000.",
  ),
  requestHeadersTimeout: durationField(1).optional().describe("Default 10s."),
  streamIdleTimeout: durationField().optional().describe("Default 5m."),
  requestTimeout: durationField()
    .optional()
    .describe("For the whole request with its body; 0s: none. Default 5m."),
  connectionIdleTimeout: durationField(1).optional().describe("Default 1h."),
});

/** What holds for the whole mesh, in the form of Istio's MeshConfig; `edge` and `jwksNetworks` are our own. */
export const meshConfigSchema = z.strictObject({
  rootNamespace: dnsLabelField("a namespace").optional(),
  trustDomain: hostText.optional(),
  trustDomainAliases: z.array(hostText).optional(),
  outboundTrafficPolicy: z.strictObject({ mode: z.enum(["ALLOW_ANY", "REGISTRY_ONLY"]) }).optional(),
  pathNormalization: z
    .strictObject({
      normalization: z.enum(["DEFAULT", "NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"]),
    })
    .optional(),
  pathParameters: z.enum(["KEEP", "STRIP", "REJECT"]).optional(),
  extensionProviders: z.array(extensionProvider).optional(),
  defaultConfig: z
    .strictObject({
      gatewayTopology: z
        .strictObject({
          numTrustedProxies: integerField("a number of proxies", 0, 100).optional(),
          forwardClientCertDetails: z
            .enum(["SANITIZE", "FORWARD_ONLY", "APPEND_FORWARD", "SANITIZE_SET", "ALWAYS_FORWARD_ONLY"])
            .optional(),
          proxyProtocol: z.strictObject({}).optional(),
        })
        .optional(),
    })
    .optional(),
  edge: edge.optional(),
  jwksNetworks: z.array(cidrField).optional(),
});

export type MeshConfigInput = z.infer<typeof meshConfigSchema>;
export type ExtensionProviderInput = z.infer<typeof extensionProvider>;
