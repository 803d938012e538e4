/** This workload's certificate with its key, and what it trusts; PEM. The key is for handshakes alone and goes nowhere else. */
export interface Credentials {
  /** Leaf first, then the authorities above it. */
  readonly chain: string;
  readonly privateKey: string;
  /** Every root to trust. */
  readonly roots: string;
  /** Wall clock ms. */
  readonly expiresAt: number;
}

/** Where handshakes get this workload's identity from, as it is now. */
export interface IdentitySource {
  /** Undefined until the first certificate is there. */
  readonly current: Credentials | undefined;
  /** Calls back after each change; the result ends that. */
  subscribe(changed: () => void): () => void;
}
