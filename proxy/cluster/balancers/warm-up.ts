import type { Warmup } from "../../../common/model/cluster.ts";
import type { Candidate } from "./balancer.ts";
import type { LatencyAverage } from "./latency-average.ts";

/** A candidate that tells since when it takes traffic: monotonic ms. */
export interface Warmable extends Candidate {
  readonly eligibleSince: number;
}

/**
 * The share of its weight that an endpoint gets so long after it began to take traffic (Envoy's slow start):
 * `max(minimum, (seconds ÷ duration) ^ (1 ÷ aggression))`, where the first second counts as a whole one.
 */
export function warmth(sinceMs: number, { durationMs, minimumPercent, aggression }: Warmup): number {
  if (sinceMs >= durationMs) return 1;
  const share = Math.min(1, Math.max(sinceMs, 1_000) / durationMs);
  return Math.max(minimumPercent / 100, share ** (1 / aggression));
}

export function isWarming(candidate: Warmable, warmup: Warmup, now: number): boolean {
  return now - candidate.eligibleSince < warmup.durationMs;
}

/** A candidate with another weight than its own, as a balancer sees it until it is built anew. */
export class Weighted<C extends Candidate> implements Candidate {
  readonly of: C;
  readonly weight: number;

  constructor(of: C, weight: number) {
    this.of = of;
    this.weight = weight;
  }

  get key(): string {
    return this.of.key;
  }

  get active(): number {
    return this.of.active;
  }

  get latency(): LatencyAverage | undefined {
    return this.of.latency;
  }
}
