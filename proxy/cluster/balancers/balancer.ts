import type { Clock } from "../../../common/base/clock.ts";
import type { Random } from "../../../common/base/random.ts";
import type { Hash64 } from "../../../common/base/xxhash64.ts";
import type { LoadBalancer } from "../../../common/model/cluster.ts";
import type { LatencyAverage } from "./latency-average.ts";

/** What a balancer sees of an endpoint. */
export interface Candidate {
  /** `10.0.0.1:9080`: what consistent hashing hashes, so that every proxy makes the same of the same endpoints. */
  readonly key: string;
  /** > 0; twice the weight means twice the requests. */
  readonly weight: number;
  /** Requests under way there now. */
  readonly active: number;
  /** How fast it answers; kept only where a balancer asks for it. */
  readonly latency?: LatencyAverage | undefined;
}

/**
 * Chooses one candidate, or undefined when there is none. Allocates nothing. `hash` is the request's key, where it has one; `tries` counts
 * the candidates that were chosen for the same attempt and turned down, because an earlier attempt went there.
 */
export type Pick<C> = (hash?: Hash64, tries?: number) => C | undefined;

export interface BalancerParts {
  readonly policy: LoadBalancer;
  /** 0..100: when fewer of a priority's endpoints may take traffic, all of them get it. 0 (Istio's default): never. */
  readonly panicPercent?: number;
  readonly random: Random;
  readonly clock: Clock;
}

/**
 * One load balancing algorithm. `build` runs when the endpoints of a cluster change, the `Pick` it returns once per attempt.
 * `candidates` holds only endpoints that may take traffic and never changes; their `active` counts do.
 */
export interface Balancer {
  readonly name: string;
  build<C extends Candidate>(candidates: readonly C[], parts: BalancerParts): Pick<C>;
}
