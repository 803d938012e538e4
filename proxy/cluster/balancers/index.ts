import type { Random } from "../../../common/base/random.ts";
import type { LoadBalancer } from "../../../common/model/cluster.ts";
import type { Balancer, Candidate, Pick } from "./balancer.ts";
import { leastRequest } from "./least-request.ts";
import { random } from "./random.ts";
import { roundRobin } from "./round-robin.ts";

/** Every algorithm. `passthrough` clusters choose nothing: the request names its address (see `original-destination.ts`). */
export const balancers: Readonly<Record<LoadBalancer["kind"], Balancer>> = {
  "round-robin": roundRobin,
  "least-request": leastRequest,
  random,
  passthrough: roundRobin,
};

/** A candidate that knows whether it may take traffic. */
export interface Balanced extends Candidate {
  readonly isEligible: boolean;
}

/** Builds the choice among those of `all` that may take traffic now. To be built anew when eligibility or weights change. */
export function balance<C extends Balanced>(
  kind: LoadBalancer["kind"],
  all: readonly C[],
  chance: Random,
): Pick<C> {
  const eligible = all.filter((candidate) => candidate.isEligible);
  return eligible.length === 0 ? none : balancers[kind].build(eligible, chance);
}

const none = () => undefined;
