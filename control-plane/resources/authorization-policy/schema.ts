import { z } from "zod";
import { cidrField } from "../fields/cidr.ts";
import { dnsLabelField } from "../fields/names.ts";
import { notYet } from "../fields/not-yet.ts";
import { workloadSelectorField } from "../fields/selector.ts";
import {
  hostText,
  methodText,
  pathText,
  plainText,
  portText,
  principalText,
  serviceAccountText,
} from "./texts.ts";

/** Values of which one must hold; an empty list would ask for nothing, or for everything. */
const anyOf = (text: z.ZodString, what: string) =>
  z.array(text).min(1, { error: "is empty" }).optional().describe(what);
const noneOf = (text: z.ZodString, what: string) =>
  z
    .array(text)
    .min(1, { error: "is empty" })
    .optional()
    .describe(`Not ${what.charAt(0).toLowerCase()}${what.slice(1)}`);

const texts = {
  principals: "Who the peer proved to be by mTLS: cluster.local/ns/NAMESPACE/sa/ACCOUNT, with * at one end.",
  requestPrincipals: "Whose token the request carries: ISSUER/SUBJECT; * for any verified token.",
  namespaces: "Namespace of the peer's certificate.",
  serviceAccounts: "Service account of the peer's certificate: NAME of this namespace, or NAMESPACE/NAME.",
  trustDomains: "Trust domain of the peer's certificate.",
  ipBlocks: "Address at the other end of the connection.",
  remoteIpBlocks: "Address of the client, as trusted proxies say it in X-Forwarded-For.",
  hosts: "Host of the request, whatever its case and port.",
  ports: "Port that the connection came to.",
  methods: "HTTP method; a gRPC call is POST.",
  paths:
    "Path without query: exact, with * at one end, or a template with {*} and {**}. /package.service/method for gRPC.",
};

const source = z.strictObject({
  principals: anyOf(principalText, texts.principals),
  notPrincipals: noneOf(principalText, texts.principals),
  requestPrincipals: anyOf(plainText, texts.requestPrincipals),
  notRequestPrincipals: noneOf(plainText, texts.requestPrincipals),
  namespaces: anyOf(plainText, texts.namespaces),
  notNamespaces: noneOf(plainText, texts.namespaces),
  serviceAccounts: anyOf(serviceAccountText, texts.serviceAccounts),
  notServiceAccounts: noneOf(serviceAccountText, texts.serviceAccounts),
  trustDomains: anyOf(plainText, texts.trustDomains),
  notTrustDomains: noneOf(plainText, texts.trustDomains),
  ipBlocks: anyOf(cidrField, texts.ipBlocks),
  notIpBlocks: noneOf(cidrField, texts.ipBlocks),
  remoteIpBlocks: anyOf(cidrField, texts.remoteIpBlocks),
  notRemoteIpBlocks: noneOf(cidrField, texts.remoteIpBlocks),
});

const operation = z.strictObject({
  hosts: anyOf(hostText, texts.hosts),
  notHosts: noneOf(hostText, texts.hosts),
  ports: anyOf(portText, texts.ports),
  notPorts: noneOf(portText, texts.ports),
  methods: anyOf(methodText, texts.methods),
  notMethods: noneOf(methodText, texts.methods),
  paths: anyOf(pathText, texts.paths),
  notPaths: noneOf(pathText, texts.paths),
});

const condition = z.strictObject({
  key: z.string().describe("What is looked at, such as request.headers[x-token] or source.namespace."),
  values: z.array(z.string()).min(1, { error: "is empty" }).optional().describe("One of these."),
  notValues: z.array(z.string()).min(1, { error: "is empty" }).optional().describe("None of these."),
});

const rule = z.strictObject({
  from: z
    .array(z.strictObject({ source }))
    .min(1, { error: "is empty" })
    .optional()
    .describe("Who calls, any of these; absent: anybody."),
  to: z
    .array(z.strictObject({ operation }))
    .min(1, { error: "is empty" })
    .optional()
    .describe("What is done, any of these; absent: anything."),
  when: z
    .array(condition)
    .min(1, { error: "is empty" })
    .optional()
    .describe("What else must hold, all of these."),
});

export const authorizationPolicySpec = z.strictObject({
  selector: workloadSelectorField
    .optional()
    .describe(
      "Which workloads judge by it; absent: all of the namespace, or of the mesh in the root namespace.",
    ),
  targetRef: notYet("use selector"),
  targetRefs: notYet("use selector"),
  action: z
    .enum(["ALLOW", "DENY", "AUDIT", "CUSTOM"])
    .optional()
    .describe(
      "What becomes of a request that a rule matches. Default ALLOW: what no ALLOW policy matches is refused.",
    ),
  provider: z
    .strictObject({ name: dnsLabelField("the name of an extension provider") })
    .optional()
    .describe("CUSTOM: who is asked, one of extensionProviders in the mesh config."),
  rules: z
    .array(rule)
    .optional()
    .describe(
      "Absent: nothing matches, so ALLOW refuses everything and DENY nothing. A rule {} matches everything.",
    ),
});

export type AuthorizationPolicySpec = z.infer<typeof authorizationPolicySpec>;
export type RuleInput = z.infer<typeof rule>;
export type ConditionInput = z.infer<typeof condition>;
