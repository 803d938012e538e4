import type { ClientCertificateMode, EdgeSettings } from "../model/edge.ts";
import { clientCertificateModes, defaultEdgeSettings } from "../model/edge.ts";
import type { EscapedSlashesMode, PathNormalization, PathParametersMode } from "../model/request-entry.ts";
import { pathParametersModes } from "../model/request-entry.ts";
import messages from "./generated/messages.js";
import type { Json } from "./weft-metadata.ts";
import type { Reading } from "./wire.ts";
import { fromDuration, toDuration } from "./wire.ts";

type Manager = messages.envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager;
type CertDetails =
  messages.envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.SetCurrentClientCertDetails;
type Duration = messages.google.protobuf.Duration;

const { PathWithEscapedSlashesAction: Slashes, ForwardClientCertDetails: Forward } =
  messages.envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager;
const { HeadersWithUnderscoresAction: Underscores } = messages.envoy.config.core.v3.HttpProtocolOptions;

const slashActions: readonly (readonly [mode: EscapedSlashesMode, action: 1 | 2 | 3 | 4])[] = [
  ["keep", Slashes.KEEP_UNCHANGED],
  ["reject", Slashes.REJECT_REQUEST],
  ["unescape-and-redirect", Slashes.UNESCAPE_AND_REDIRECT],
  ["unescape-and-forward", Slashes.UNESCAPE_AND_FORWARD],
];
const forwardModes: Readonly<Record<ClientCertificateMode, 0 | 1 | 2 | 3 | 4>> = {
  sanitize: Forward.SANITIZE,
  "forward-only": Forward.FORWARD_ONLY,
  "append-forward": Forward.APPEND_FORWARD,
  "sanitize-set": Forward.SANITIZE_SET,
  "always-forward-only": Forward.ALWAYS_FORWARD_ONLY,
};
const underscoreActions = {
  allow: Underscores.ALLOW,
  reject: Underscores.REJECT_REQUEST,
  drop: Underscores.DROP_HEADER,
} as const;

/** All but what becomes of parameters, for which Envoy has no field: that travels in the chain's weft metadata. */
export function toPathFields(path: PathNormalization | undefined): Manager {
  if (path === undefined) return { normalizePath: { value: false } };
  const { mode } = path;
  const decodes = mode === "decode-and-merge-slashes";
  const action = slashActions.find(
    ([word]) => word === (decodes ? "unescape-and-forward" : path.escapedSlashes),
  );
  return {
    normalizePath: { value: mode !== "none" },
    mergeSlashes: mode === "merge-slashes" || decodes,
    pathWithEscapedSlashesAction: action![1],
  };
}

/** `parameters`: from the chain's weft metadata. Undefined when paths stay as they are. */
export function fromPathFields(
  manager: Manager,
  parameters: Json,
  path: string,
  reading: Reading,
): PathNormalization | undefined {
  const known = pathParametersModes.find(
    (mode): mode is PathParametersMode => mode === (parameters ?? "keep"),
  );
  if (known === undefined)
    reading.problem(path, "has a mode for path parameters that this version does not know");
  const isBase = manager.normalizePath?.value === true;
  if (manager.mergeSlashes && !isBase)
    reading.problem(`${path}.mergeSlashes`, "is supported together with normalizePath only");
  const action = manager.pathWithEscapedSlashesAction || Slashes.KEEP_UNCHANGED;
  const escapedSlashes = slashActions.find(([, number]) => number === action)?.[0] ?? "reject";
  const decodes = manager.mergeSlashes && escapedSlashes === "unescape-and-forward";
  const mode = !isBase
    ? "none"
    : decodes
      ? "decode-and-merge-slashes"
      : manager.mergeSlashes
        ? "merge-slashes"
        : "base";
  if (mode === "none" && known === "keep" && escapedSlashes === "keep") return undefined;
  return { mode, parameters: known ?? "reject", escapedSlashes };
}

/** All but the limit of connections, which is a filter of its own. */
export function toEdgeFields(edge: EdgeSettings | undefined): Manager {
  // The route's own time-out decides; Envoy's default would end a quiet stream after five minutes.
  if (edge === undefined) return { streamIdleTimeout: toDuration(0) };
  return {
    useRemoteAddress: { value: true },
    xffNumTrustedHops: edge.trustedHops,
    forwardClientCertDetails: forwardModes[edge.clientCertificate],
    setCurrentClientCertDetails: toCertDetails(edge),
    commonHttpProtocolOptions: {
      headersWithUnderscoresAction: underscoreActions[edge.underscores],
      maxHeadersCount: { value: edge.maxHeaderCount },
      idleTimeout: toDuration(edge.connectionIdleTimeoutMs),
    },
    maxRequestHeadersKb: { value: Math.ceil(edge.maxHeaderBytes / 1024) },
    requestHeadersTimeout: toDuration(edge.headerTimeoutMs),
    streamIdleTimeout: toDuration(edge.streamIdleTimeoutMs),
    requestTimeout: toDuration(edge.requestTimeoutMs),
  };
}

/** A listener whose clients are strangers says so by use_remote_address; what it does not say is as at any edge. */
export function fromEdgeFields(
  manager: Manager,
  maxConnections: number | undefined,
): EdgeSettings | undefined {
  if (!manager.useRemoteAddress?.value) return undefined;
  const { commonHttpProtocolOptions: options, setCurrentClientCertDetails: details } = manager;
  const fallback = defaultEdgeSettings;
  const forward = manager.forwardClientCertDetails ?? 0;
  return {
    trustedHops: manager.xffNumTrustedHops ?? 0,
    clientCertificate: clientCertificateModes.find((mode) => forwardModes[mode] === forward) ?? "sanitize",
    clientCertificateDetails: fromCertDetails(details),
    underscores:
      (["allow", "reject", "drop"] as const).find(
        (word) => underscoreActions[word] === (options?.headersWithUnderscoresAction ?? 0),
      ) ?? "reject",
    ...(maxConnections === undefined ? {} : { maxConnections }),
    maxHeaderBytes: (manager.maxRequestHeadersKb?.value || fallback.maxHeaderBytes / 1024) * 1024,
    maxHeaderCount: options?.maxHeadersCount?.value || fallback.maxHeaderCount,
    headerTimeoutMs: msOf(manager.requestHeadersTimeout, fallback.headerTimeoutMs),
    streamIdleTimeoutMs: msOf(manager.streamIdleTimeout, fallback.streamIdleTimeoutMs),
    requestTimeoutMs: msOf(manager.requestTimeout, 0),
    connectionIdleTimeoutMs: msOf(options?.idleTimeout, fallback.connectionIdleTimeoutMs),
  };
}

function toCertDetails({ clientCertificateDetails: details }: EdgeSettings): CertDetails {
  return {
    ...(details.includes("subject") ? { subject: { value: true } } : {}),
    cert: details.includes("cert"),
    chain: details.includes("chain"),
    dns: details.includes("dns"),
    uri: true,
  };
}

function fromCertDetails(details: CertDetails | null | undefined): EdgeSettings["clientCertificateDetails"] {
  return [
    ...(details?.subject?.value ? (["subject"] as const) : []),
    ...(["cert", "chain", "dns"] as const).filter((name) => details?.[name] === true),
  ];
}

function msOf(duration: Duration | null | undefined, fallback: number): number {
  return duration ? fromDuration(duration) : fallback;
}
