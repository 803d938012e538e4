/** What became of requests and connections at a policy; the words of Envoy's RBAC counters, and `audited` and `asked`. */
export type AccessResult = "allowed" | "denied" | "shadow_allowed" | "shadow_denied" | "audited" | "asked";

export interface AccessCount {
  /** The policy that decided; "" when none matched. */
  readonly policy: string;
  readonly result: AccessResult;
  readonly count: number;
}

/** Counts decisions by policy. Policies come from config only, so the number of counts is bounded by it. */
export class AccessCounts {
  readonly #counts = new Map<AccessResult, Map<string, number>>();

  add(result: AccessResult, policy = ""): void {
    let counts = this.#counts.get(result);
    if (counts === undefined) {
      counts = new Map();
      this.#counts.set(result, counts);
    }
    counts.set(policy, (counts.get(policy) ?? 0) + 1);
  }

  *[Symbol.iterator](): Iterator<AccessCount> {
    for (const [result, counts] of this.#counts)
      for (const [policy, count] of counts) yield { policy, result, count };
  }
}
