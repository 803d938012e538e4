import type { AccessPolicy, TextMatch } from "./authorization.ts";

/** Requests that a policy matches are shown to somebody who decides (Istio's CUSTOM, Envoy's ext_authz). */
export interface ExternalAuthorization {
  /** The name of the provider in the mesh settings. */
  readonly provider: string;
  readonly policies: readonly AccessPolicy[];
  readonly service: ExternalService;
  /** Which request headers the service sees besides method, path, Host, Content-Length and Authorization; gRPC services see all. */
  readonly requestHeaders: readonly TextMatch[];
  /** Absent: the body is not shown. */
  readonly body?: { readonly maxBytes: number; readonly allowsPartial: boolean; readonly asBytes: boolean };
  /** Whether requests pass while the service does not answer. */
  readonly failsOpen: boolean;
  /** The answer while the service does not answer; Envoy's default: 403. */
  readonly statusOnError: number;
  /** Whether the route is chosen anew after the service changed headers. */
  readonly clearsRoute: boolean;
}

interface ExternalServiceBase {
  readonly cluster: string;
  readonly authority: string;
  readonly timeoutMs: number;
}

export type ExternalService = ExternalHttpService | ExternalGrpcService;

export interface ExternalHttpService extends ExternalServiceBase {
  readonly kind: "http";
  /** Stands before the path of the request. */
  readonly pathPrefix: string;
  readonly addedHeaders: readonly (readonly [name: string, value: string])[];
  /** Which headers of an allowing answer the application gets. */
  readonly headersToUpstream: readonly TextMatch[];
  /** Which headers of a refusing answer the client gets; empty: all but Host. */
  readonly headersToDownstreamOnDeny: readonly TextMatch[];
  readonly headersToDownstreamOnAllow: readonly TextMatch[];
}

/** `envoy.service.auth.v3.Authorization` */
export interface ExternalGrpcService extends ExternalServiceBase {
  readonly kind: "grpc";
}
