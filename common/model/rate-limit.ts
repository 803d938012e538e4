/** At most so many requests per time for each value of a key (own kind RateLimit, one of its rules). */
export interface RateLimitRule {
  /** `namespace/name/rule`: routes that have the same rule count together. */
  readonly name: string;
  /** Requests that agree in all parts share a bucket; without parts all do. */
  readonly key: readonly RateLimitKeyPart[];
  /** The bucket is refilled with so many tokens … */
  readonly requests: number;
  /** … in so many ms, evenly. */
  readonly perMs: number;
  /** Tokens in a full bucket. */
  readonly burst: number;
  /** Buckets at once; further keys share one. */
  readonly maxKeys: number;
  /** All proxies together: each goes by the share that the control plane leases to it. Absent: each proxy counts for itself. */
  readonly global?: true;
}

/** `path` is without the query. What a request lacks counts as an empty value. */
export type RateLimitKeyPart =
  | { readonly kind: "header" | "query"; readonly name: string }
  | { readonly kind: "path" | "method" | "host" | "source-address" | "source-workload" | "source-identity" };
