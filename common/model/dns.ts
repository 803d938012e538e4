/** The names that a proxy answers for by itself (Envoy's DnsTable); it passes on questions about all others. */
export interface DnsTable {
  readonly domains: readonly DnsDomain[];
}

export interface DnsDomain {
  /** Lower case, without a dot at the end: exact, or `*.suffix` for every name below. */
  readonly name: string;
  /** IPv4 and IPv6; at least one. */
  readonly addresses: readonly string[];
  /** Seconds for which the answer may be kept (RFC 1035 section 3.2.1). */
  readonly ttlSeconds: number;
}
