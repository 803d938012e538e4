/** How a listener ends TLS (Envoy's DownstreamTlsContext). All files are the proxy's own, read again when they change. */
export interface ServerTls {
  /** Absent with `identity` and `secret`. */
  readonly certificate?: KeyPairFiles;
  /** Of other kinds of keys, such as RSA beside ECDSA: each client gets one that it can read. */
  readonly moreCertificates?: readonly KeyPairFiles[];
  /** The credential that the proxy holds under this name, in place of `certificate` (Envoy: the SDS secret `kubernetes://NAME`). */
  readonly secret?: string;
  /**
   * Mutual TLS with the workload's own certificate (Envoy: the SDS secrets `default` and `ROOTCA`, as Istio names them): every client must
   * show a certificate of the mesh's roots with a SPIFFE ID of one of these trust domains.
   */
  readonly identity?: { readonly trustDomains: readonly string[] };
  /** PEM of the authorities whose client certificates are accepted. Present: every client must show one (MUTUAL). */
  readonly clientCaFile?: string;
  /** The same from a credential of the proxy (Envoy: the SDS secret `kubernetes://NAME-cacert`). */
  readonly clientCaSecret?: string;
  /** What else a client's certificate must be; only beside authorities. */
  readonly client?: ClientCheck;
  /** Absent: TLS 1.2, Envoy's and Istio's default for servers. */
  readonly minVersion?: TlsVersion;
  readonly maxVersion?: TlsVersion;
  /** OpenSSL names for TLS 1.2 and below; empty: the library's. */
  readonly cipherSuites: readonly string[];
}

/** What is asked of the certificates of clients, besides who signed them. */
export interface ClientCheck {
  /** Clients without a certificate are let in too (OPTIONAL_MUTUAL). */
  readonly isOptional?: true;
  /** It must have one of these DNS names or URIs. */
  readonly subjectAltNames?: readonly string[];
  /** SHA-256 of the certificate, lower-case hex; one of these, or one of `keyHashes`. */
  readonly certificateHashes?: readonly string[];
  /** SHA-256 of its public key (SPKI), base64. */
  readonly keyHashes?: readonly string[];
  /** PEM of what the authorities have taken back. */
  readonly crlFile?: string;
}

/** How connections to a cluster are protected (Envoy's UpstreamTlsContext). */
export interface ClientTls {
  /**
   * Mutual TLS with the workload's own certificate (Istio's ISTIO_MUTUAL): the server must show a certificate of the mesh's roots with one
   * of the SPIFFE IDs in `subjectAltNames`; empty: with any. `caFile` and `certificate` are absent then.
   */
  readonly identity?: true;
  /** What is asked for in the handshake, and the name that the certificate must have unless `subjectAltNames` says others. */
  readonly sni?: string;
  /** Absent: the authorities that the machine trusts. */
  readonly caFile?: string;
  /** Shown to servers that ask (MUTUAL). */
  readonly certificate?: KeyPairFiles;
  /** The certificate must have one of these DNS names or URIs; empty: `sni`. */
  readonly subjectAltNames: readonly string[];
  /** Whatever certificate the server shows is taken: for tests only. */
  readonly insecureSkipVerify: boolean;
}

/** PEM files; the certificate may be followed by its chain. */
export interface KeyPairFiles {
  readonly certificateFile: string;
  readonly privateKeyFile: string;
}

export const tlsVersions = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] as const;

export type TlsVersion = (typeof tlsVersions)[number];
