import type { TextMatch } from "../model/authorization.ts";
import type { ExternalAuthorization, ExternalService } from "../model/external-authorization.ts";
import type messages from "./generated/messages.js";
import { fromTextMatcher, toTextMatcher } from "./text-matcher.ts";
import type { Reading } from "./wire.ts";
import { fromDuration, toDuration } from "./wire.ts";

type WireAuthz = messages.envoy.extensions.filters.http.ext_authz.v3.ExtAuthz;
type HttpService = messages.envoy.extensions.filters.http.ext_authz.v3.HttpService;
type GrpcService = messages.envoy.config.core.v3.GrpcService;
type MetadataMatcher = messages.envoy.type.matcher.v3.MetadataMatcher;
type StatusCode = messages.envoy.type.v3.StatusCode;
type Texts = messages.envoy.type.matcher.v3.ListStringMatcher;

export const extAuthzType = "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz";
const apiV3 = 2;

/** Under this key the RBAC filter before leaves the policy that matched, and this is how its names begin (Istio's words). */
export const shadowPrefix = "istio_ext_authz_";
const policyPrefix = "istio-ext-authz-";

/** The name of a policy of CUSTOM in the RBAC filter: it says of which provider. */
export function askingPolicyName(provider: string, name: string): string {
  return `${policyPrefix}${provider}-${name}`;
}

export function toExtAuthz(external: Omit<ExternalAuthorization, "policies">): WireAuthz {
  const { service, body, provider } = external;
  return {
    transportApiVersion: apiV3,
    ...(service.kind === "http"
      ? { httpService: toHttpService(service) }
      : { grpcService: toGrpcService(service) }),
    failureModeAllow: external.failsOpen,
    statusOnError: { code: external.statusOnError as StatusCode },
    clearRouteCache: external.clearsRoute,
    ...(external.requestHeaders.length > 0 ? { allowedHeaders: toTexts(external.requestHeaders) } : {}),
    ...(body
      ? {
          withRequestBody: {
            maxRequestBytes: body.maxBytes,
            allowPartialMessage: body.allowsPartial,
            packAsBytes: body.asBytes,
          },
        }
      : {}),
    filterEnabledMetadata: enabledWhen("envoy.filters.http.rbac", provider),
  };
}

export function toGrpcService({ cluster, authority, timeoutMs }: ExternalService): GrpcService {
  return { envoyGrpc: { clusterName: cluster, authority }, timeout: toDuration(timeoutMs) };
}

export function enabledWhen(filter: string, provider: string): MetadataMatcher {
  return {
    filter,
    path: [{ key: `${shadowPrefix}shadow_effective_policy_id` }],
    value: { stringMatch: { prefix: askingPolicyName(provider, "") } },
  };
}

/** The provider that `enabledWhen` named; undefined when the filter is for every request. */
export function providerOf(
  matcher: MetadataMatcher | null | undefined,
  path: string,
  reading: Reading,
): string | undefined {
  if (!matcher) return undefined;
  const prefix = matcher.value?.stringMatch?.prefix ?? "";
  if (!prefix.startsWith(policyPrefix) || !prefix.endsWith("-"))
    reading.problem(`${path}.filterEnabledMetadata`, "asks for something that this version does not know");
  return prefix.slice(policyPrefix.length, -1);
}

/** All but the policies, which come from the RBAC filter before. Undefined after a problem was reported. */
export function fromExtAuthz(
  wire: WireAuthz,
  provider: string,
  path: string,
  reading: Reading,
): Omit<ExternalAuthorization, "policies"> | undefined {
  reading.refuseUnknown(wire, extAuthzType, path);
  const service = wire.httpService
    ? fromHttpService(wire.httpService, `${path}.httpService`, reading)
    : fromGrpcService(wire.grpcService, `${path}.grpcService`, reading);
  if (service === undefined) return undefined;
  const { withRequestBody: body } = wire;
  return {
    provider,
    service,
    requestHeaders: fromTexts(wire.allowedHeaders, `${path}.allowedHeaders`, reading),
    ...(body
      ? {
          body: {
            maxBytes: body.maxRequestBytes ?? 0,
            allowsPartial: body.allowPartialMessage === true,
            asBytes: body.packAsBytes === true,
          },
        }
      : {}),
    failsOpen: wire.failureModeAllow === true,
    statusOnError: wire.statusOnError?.code || 403,
    clearsRoute: wire.clearRouteCache === true,
  };
}

function toHttpService(service: Extract<ExternalService, { kind: "http" }>): HttpService {
  const { addedHeaders, headersToUpstream, headersToDownstreamOnAllow, headersToDownstreamOnDeny } = service;
  return {
    serverUri: {
      uri: `http://${service.authority}`,
      cluster: service.cluster,
      timeout: toDuration(service.timeoutMs),
    },
    pathPrefix: service.pathPrefix,
    ...(addedHeaders.length > 0
      ? { authorizationRequest: { headersToAdd: addedHeaders.map(([key, value]) => ({ key, value })) } }
      : {}),
    authorizationResponse: {
      ...(headersToUpstream.length > 0 ? { allowedUpstreamHeaders: toTexts(headersToUpstream) } : {}),
      ...(headersToDownstreamOnDeny.length > 0
        ? { allowedClientHeaders: toTexts(headersToDownstreamOnDeny) }
        : {}),
      ...(headersToDownstreamOnAllow.length > 0
        ? { allowedClientHeadersOnSuccess: toTexts(headersToDownstreamOnAllow) }
        : {}),
    },
  };
}

function fromHttpService(wire: HttpService, path: string, reading: Reading): ExternalService {
  const { serverUri, authorizationRequest: request, authorizationResponse: response } = wire;
  const texts = (list: Texts | null | undefined, name: string) => fromTexts(list, `${path}.${name}`, reading);
  if (!serverUri?.cluster) reading.problem(`${path}.serverUri.cluster`, "is empty");
  return {
    kind: "http",
    cluster: serverUri?.cluster ?? "",
    authority: (serverUri?.uri ?? "").replace(/^https?:\/\//, "").replace(/\/.*$/, ""),
    timeoutMs: serverUri?.timeout ? fromDuration(serverUri.timeout) : 200,
    pathPrefix: wire.pathPrefix ?? "",
    addedHeaders: (request?.headersToAdd ?? []).map(({ key, value }) => [key ?? "", value ?? ""]),
    headersToUpstream: texts(response?.allowedUpstreamHeaders, "allowedUpstreamHeaders"),
    headersToDownstreamOnDeny: texts(response?.allowedClientHeaders, "allowedClientHeaders"),
    headersToDownstreamOnAllow: texts(
      response?.allowedClientHeadersOnSuccess,
      "allowedClientHeadersOnSuccess",
    ),
  };
}

export function fromGrpcService(
  wire: GrpcService | null | undefined,
  path: string,
  reading: Reading,
): ExternalService | undefined {
  const { envoyGrpc, timeout } = wire ?? {};
  if (!envoyGrpc?.clusterName) {
    reading.problem(path, "names no service that this version can ask", "use envoy_grpc or http_service");
    return undefined;
  }
  return {
    kind: "grpc",
    cluster: envoyGrpc.clusterName,
    authority: envoyGrpc.authority ?? "",
    timeoutMs: timeout ? fromDuration(timeout) : 200,
  };
}

function toTexts(matches: readonly TextMatch[]): Texts {
  return { patterns: matches.map(toTextMatcher) };
}

function fromTexts(list: Texts | null | undefined, path: string, reading: Reading): TextMatch[] {
  return (list?.patterns ?? []).flatMap(
    (pattern, index) => fromTextMatcher(pattern, `${path}[${index}]`, reading) ?? [],
  );
}
