/** What a listener that strangers reach does before it believes anything (Envoy's advice for edges). */
export interface EdgeSettings {
  /** Proxies before this one that are ours: so many addresses at the end of X-Forwarded-For are true (Envoy's xff_num_trusted_hops). */
  readonly trustedHops: number;
  readonly clientCertificate: ClientCertificateMode;
  /** What of a client's own certificate goes into X-Forwarded-Client-Cert; hash and URI always do. */
  readonly clientCertificateDetails: readonly ("subject" | "cert" | "chain" | "dns")[];
  /** Header names with "_": frameworks read them as "-" and take them for others (Envoy's headers_with_underscores_action). */
  readonly underscores: "allow" | "reject" | "drop";
  /** Connections of this listener at once; absent: no limit. */
  readonly maxConnections?: number;
  readonly maxHeaderBytes: number;
  readonly maxHeaderCount: number;
  /** ms from the first byte to the end of the headers. */
  readonly headerTimeoutMs: number;
  /** ms without a byte while a request is under way. */
  readonly streamIdleTimeoutMs: number;
  /** ms for a whole request; 0: none. */
  readonly requestTimeoutMs: number;
  /** ms that a connection may wait for its next request. */
  readonly connectionIdleTimeoutMs: number;
}

/** Envoy's forward_client_cert_details. */
export type ClientCertificateMode = (typeof clientCertificateModes)[number];
export const clientCertificateModes = [
  "sanitize",
  "forward-only",
  "append-forward",
  "sanitize-set",
  "always-forward-only",
] as const;

/** Envoy's published list for edges, with Istio's XFCC mode for gateways. */
export const defaultEdgeSettings: EdgeSettings = Object.freeze({
  trustedHops: 0,
  clientCertificate: "sanitize-set",
  clientCertificateDetails: Object.freeze(["subject", "dns"] as const),
  underscores: "reject",
  maxConnections: 10_000,
  maxHeaderBytes: 60 * 1024,
  maxHeaderCount: 100,
  headerTimeoutMs: 10_000,
  streamIdleTimeoutMs: 300_000,
  requestTimeoutMs: 300_000,
  connectionIdleTimeoutMs: 3_600_000,
});
