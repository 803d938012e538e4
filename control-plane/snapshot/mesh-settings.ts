import type { ClientCertificateMode, EdgeSettings } from "../../common/model/edge.ts";
import { defaultEdgeSettings } from "../../common/model/edge.ts";
import type {
  EscapedSlashesMode,
  PathNormalization,
  PathNormalizationMode,
  PathParametersMode,
} from "../../common/model/request-entry.ts";
import { durationMs } from "../resources/fields/duration.ts";
import { compileProvider } from "../resources/mesh-config/extension-provider.ts";
import type { MeshConfigInput } from "../resources/mesh-config/schema.ts";
import type { EdgeRules, MeshSettings } from "./mesh.ts";
import { defaultMeshSettings } from "./mesh.ts";

/** What the mesh config says, over the defaults. */
export function compileMeshConfig(config: MeshConfigInput): MeshSettings {
  const rootNamespace = config.rootNamespace ?? defaultMeshSettings.rootNamespace;
  const normalization = config.pathNormalization?.normalization;
  const providers = (config.extensionProviders ?? []).map((input) => compileProvider(input, rootNamespace));
  const { trustDomain = "cluster.local", trustDomainAliases = [] } = config;
  return {
    rootNamespace,
    outboundPolicy:
      config.outboundTrafficPolicy?.mode === "REGISTRY_ONLY"
        ? "registry-only"
        : defaultMeshSettings.outboundPolicy,
    pathNormalization:
      normalization === undefined || normalization === "DEFAULT" ? "base" : modes[normalization],
    pathParameters: parameterModes[config.pathParameters ?? "KEEP"],
    edge: edgeRules(config),
    ...(config.defaultConfig?.gatewayTopology?.proxyProtocol && { gatewaysExpectProxyHeader: true as const }),
    extensionProviders: new Map(providers.map((provider) => [provider.provider, provider])),
    jwksNetworks: config.jwksNetworks ?? [],
    trustDomains: [trustDomain, ...trustDomainAliases],
  };
}

/** How gateways treat what strangers send, when the mesh config says nothing (Envoy's advice for edges). */
export const defaultEdgeRules: EdgeRules = Object.freeze({
  settings: defaultEdgeSettings,
  path: Object.freeze({
    mode: "merge-slashes",
    parameters: "reject",
    escapedSlashes: "unescape-and-redirect",
  } satisfies PathNormalization),
});

function edgeRules({ edge = {}, defaultConfig, pathNormalization }: MeshConfigInput): EdgeRules {
  const { numTrustedProxies, forwardClientCertDetails } = defaultConfig?.gatewayTopology ?? {};
  const fallback = defaultEdgeSettings;
  const settings: EdgeSettings = {
    ...fallback,
    trustedHops: numTrustedProxies ?? fallback.trustedHops,
    clientCertificate:
      forwardClientCertDetails === undefined
        ? fallback.clientCertificate
        : (forwardClientCertDetails.toLowerCase().replaceAll("_", "-") as ClientCertificateMode),
    underscores: underscores[edge.headersWithUnderscoresAction ?? "REJECT_REQUEST"],
    ...(edge.listenerConnectionLimit !== undefined && { maxConnections: edge.listenerConnectionLimit }),
    maxHeaderBytes: (edge.maxRequestHeadersKb ?? fallback.maxHeaderBytes / 1024) * 1024,
    maxHeaderCount: edge.maxHeadersCount ?? fallback.maxHeaderCount,
    headerTimeoutMs: durationMs(edge.requestHeadersTimeout) ?? fallback.headerTimeoutMs,
    streamIdleTimeoutMs: durationMs(edge.streamIdleTimeout) ?? fallback.streamIdleTimeoutMs,
    requestTimeoutMs: durationMs(edge.requestTimeout) ?? fallback.requestTimeoutMs,
    connectionIdleTimeoutMs: durationMs(edge.connectionIdleTimeout) ?? fallback.connectionIdleTimeoutMs,
  };
  const mesh = pathNormalization?.normalization;
  // Whoever asked for paths to stay as they are, or for more, means gateways too.
  const inherited = mesh === "NONE" || mesh === "DECODE_AND_MERGE_SLASHES" ? mesh : "MERGE_SLASHES";
  const mode = modes[edge.pathNormalization ?? inherited];
  const slashes =
    edge.pathWithEscapedSlashesAction ?? (mode === "none" ? "KEEP_UNCHANGED" : "UNESCAPE_AND_REDIRECT");
  return {
    settings,
    path: {
      mode,
      parameters: parameterModes[edge.pathParameters ?? "REJECT"],
      escapedSlashes: mode === "decode-and-merge-slashes" ? "unescape-and-forward" : slashModes[slashes],
    },
  };
}

const modes = {
  NONE: "none",
  BASE: "base",
  MERGE_SLASHES: "merge-slashes",
  DECODE_AND_MERGE_SLASHES: "decode-and-merge-slashes",
} as const satisfies Record<string, PathNormalizationMode>;

const parameterModes = {
  KEEP: "keep",
  STRIP: "strip",
  REJECT: "reject",
} as const satisfies Record<string, PathParametersMode>;

const slashModes = {
  KEEP_UNCHANGED: "keep",
  REJECT_REQUEST: "reject",
  UNESCAPE_AND_REDIRECT: "unescape-and-redirect",
  UNESCAPE_AND_FORWARD: "unescape-and-forward",
} as const satisfies Record<string, EscapedSlashesMode>;

const underscores = { ALLOW: "allow", REJECT_REQUEST: "reject", DROP_HEADER: "drop" } as const;
