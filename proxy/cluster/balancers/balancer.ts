import type { Random } from "../../../common/base/random.ts";

/** What a balancer sees of an endpoint. */
export interface Candidate {
  /** ≥ 1; twice the weight means twice the requests. */
  readonly weight: number;
  /** Requests under way there now. */
  readonly active: number;
}

/** Chooses one candidate, or undefined when there is none. Allocates nothing. */
export type Pick<C> = () => C | undefined;

/**
 * One load balancing algorithm. `build` runs when the endpoints of a cluster change, the `Pick` it returns once per attempt.
 * `candidates` holds only endpoints that may take traffic and never changes; their `active` counts do.
 */
export interface Balancer {
  readonly name: string;
  build<C extends Candidate>(candidates: readonly C[], random: Random): Pick<C>;
}
