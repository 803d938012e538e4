/** What an error means to each of its readers. */
export interface ErrorEntry {
  /** Status of the local reply. */
  readonly http: number;
  /** gRPC status name of the local reply to a gRPC request. */
  readonly grpc: string;
  /** Envoy's response flag, so existing log tooling reads our access log. "" where Envoy has none. */
  readonly flag: string;
  /** Whose fault it is. */
  readonly side: "client" | "upstream" | "self";
  /** What the client reads; absent: code and detail. */
  readonly text?: string;
  /** Whether the request certainly did not reach the application, so any request may be sent again. */
  readonly retry: boolean;
}

/**
 * The closed list of everything that can end a request early. `proxy/http/reply.ts` is the only reader of the statuses.
 * Flags: https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage (RESPONSE_FLAGS).
 */
export const errorCatalogue = {
  bad_request: { http: 400, grpc: "INTERNAL", flag: "DPE", side: "client", retry: false },
  request_header_timeout: { http: 408, grpc: "DEADLINE_EXCEEDED", flag: "DT", side: "client", retry: false },
  invalid_token: { http: 401, grpc: "UNAUTHENTICATED", flag: "", side: "client", retry: false },
  access_denied: {
    http: 403,
    grpc: "PERMISSION_DENIED",
    flag: "",
    side: "client",
    retry: false,
    text: "RBAC: access denied",
  },
  external_denied: {
    http: 403,
    grpc: "PERMISSION_DENIED",
    flag: "UAEX",
    side: "client",
    retry: false,
    text: "",
  },
  rate_limited: { http: 429, grpc: "RESOURCE_EXHAUSTED", flag: "RL", side: "client", retry: false },
  request_idle_timeout: { http: 408, grpc: "DEADLINE_EXCEEDED", flag: "SI", side: "client", retry: false },
  method_not_allowed: { http: 405, grpc: "UNIMPLEMENTED", flag: "DPE", side: "client", retry: false },
  payload_too_large: { http: 413, grpc: "RESOURCE_EXHAUSTED", flag: "DPE", side: "client", retry: false },
  uri_too_long: { http: 414, grpc: "RESOURCE_EXHAUSTED", flag: "DPE", side: "client", retry: false },
  expectation_failed: { http: 417, grpc: "INTERNAL", flag: "DPE", side: "client", retry: false },
  misdirected_request: { http: 421, grpc: "UNIMPLEMENTED", flag: "", side: "client", retry: false },
  upgrade_required: { http: 426, grpc: "INTERNAL", flag: "DPE", side: "client", retry: false },
  headers_too_large: { http: 431, grpc: "RESOURCE_EXHAUSTED", flag: "DPE", side: "client", retry: false },
  transfer_encoding_unsupported: {
    http: 501,
    grpc: "UNIMPLEMENTED",
    flag: "DPE",
    side: "client",
    retry: false,
  },
  version_not_supported: { http: 505, grpc: "UNIMPLEMENTED", flag: "DPE", side: "client", retry: false },
  downstream_closed: { http: 0, grpc: "CANCELLED", flag: "DC", side: "client", retry: false },

  no_route: { http: 404, grpc: "UNIMPLEMENTED", flag: "NR", side: "self", retry: false },
  host_not_discovered: { http: 503, grpc: "UNAVAILABLE", flag: "NR", side: "self", retry: true },
  no_cluster: { http: 503, grpc: "UNAVAILABLE", flag: "NC", side: "self", retry: false },
  no_healthy_upstream: { http: 503, grpc: "UNAVAILABLE", flag: "UH", side: "upstream", retry: true },
  upstream_overflow: { http: 503, grpc: "UNAVAILABLE", flag: "UO", side: "upstream", retry: false },
  circuit_open: { http: 503, grpc: "UNAVAILABLE", flag: "UO", side: "upstream", retry: false },
  retry_limit_exceeded: { http: 503, grpc: "UNAVAILABLE", flag: "URX", side: "upstream", retry: false },
  request_timeout: { http: 504, grpc: "UNAVAILABLE", flag: "UT", side: "upstream", retry: false },
  per_try_timeout: { http: 504, grpc: "UNAVAILABLE", flag: "UT", side: "upstream", retry: false },
  connect_timeout: { http: 503, grpc: "UNAVAILABLE", flag: "UF", side: "upstream", retry: true },
  connect_refused: { http: 503, grpc: "UNAVAILABLE", flag: "UF", side: "upstream", retry: true },
  connect_failed: { http: 503, grpc: "UNAVAILABLE", flag: "UF", side: "upstream", retry: true },
  reset_before_request: { http: 503, grpc: "UNAVAILABLE", flag: "UC", side: "upstream", retry: true },
  upstream_reset: { http: 503, grpc: "UNAVAILABLE", flag: "UC", side: "upstream", retry: false },
  upstream_protocol_error: { http: 502, grpc: "UNAVAILABLE", flag: "UPE", side: "upstream", retry: false },
  upstream_idle_timeout: { http: 504, grpc: "UNAVAILABLE", flag: "UT", side: "upstream", retry: false },

  fault_abort: { http: 500, grpc: "UNAVAILABLE", flag: "FI", side: "self", retry: false },
  overloaded: { http: 503, grpc: "UNAVAILABLE", flag: "OM", side: "self", retry: false },
  draining: { http: 503, grpc: "UNAVAILABLE", flag: "LH", side: "self", retry: false },
  internal: { http: 500, grpc: "INTERNAL", flag: "", side: "self", retry: false },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof errorCatalogue;

/** Ends a request. `detail` is Envoy's RESPONSE_CODE_DETAILS: a short machine-readable reason, never user data. */
export class MeshError extends Error {
  readonly code: ErrorCode;
  readonly entry: ErrorEntry;
  readonly detail: string;

  constructor(code: ErrorCode, detail: string, options?: ErrorOptions) {
    super(detail === "" ? code : `${code}: ${detail}`, options);
    this.name = "MeshError";
    this.code = code;
    this.entry = errorCatalogue[code];
    this.detail = detail;
  }
}

/** Short for `new MeshError`, with the underlying error as cause when there is one. */
export function meshError(code: ErrorCode, detail = "", cause?: unknown): MeshError {
  return new MeshError(code, detail, cause === undefined ? undefined : { cause });
}

/** Anything thrown becomes a MeshError; what we did not foresee is `internal`, with the original as cause. */
export function toMeshError(thrown: unknown): MeshError {
  return thrown instanceof MeshError ? thrown : meshError("internal", "unexpected_error", thrown);
}
