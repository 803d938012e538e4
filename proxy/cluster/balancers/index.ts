import { hashModulo } from "../../../common/base/xxhash64.ts";
import type { LoadBalancer } from "../../../common/model/cluster.ts";
import type { Balancer, BalancerParts, Candidate, Pick } from "./balancer.ts";
import { leastRequest } from "./least-request.ts";
import { divideLoad, overprovisioning } from "./levels.ts";
import { maglev } from "./maglev.ts";
import { peakEwma } from "./peak-ewma.ts";
import { random } from "./random.ts";
import { ringHash } from "./ring-hash.ts";
import { roundRobin } from "./round-robin.ts";
import type { Warmable } from "./warm-up.ts";
import { isWarming, Weighted, warmth } from "./warm-up.ts";

/** Every algorithm. `passthrough` clusters choose nothing: the request names its address (see `original-destination.ts`). */
export const balancers: Readonly<Record<LoadBalancer["kind"], Balancer>> = {
  "round-robin": roundRobin,
  "least-request": leastRequest,
  random,
  "peak-ewma": peakEwma,
  "ring-hash": ringHash,
  maglev,
  passthrough: roundRobin,
};

/** A candidate that knows whether it may take traffic, and where it stands. */
export interface Balanced extends Warmable {
  readonly isEligible: boolean;
  /** It is to get nothing, not even when so few are left that the ineligible ones are asked too. */
  readonly isLeaving: boolean;
  /** 0 comes first; the next takes what the ones before can't. */
  readonly priority: number;
  /** Which endpoints share a `localityWeight`. */
  readonly localityKey: string;
  /** The weight of its whole locality, where the cluster weighs localities; 0 keeps all requests away. Absent: what its members weigh. */
  readonly localityWeight?: number | undefined;
}

/** Builds the choice among those of `all` that may take traffic now. To be built anew when eligibility, weights or warmth change. */
export function balance<C extends Balanced>(all: readonly C[], parts: BalancerParts): Pick<C> {
  const levels = [...Map.groupBy(all, ({ priority }) => priority)]
    .sort(([a], [b]) => a - b)
    .map(([, members]) => members);
  const loads = divideLoad(
    levels.map((members) => ({ total: members.length, eligible: members.filter(isEligible).length })),
    parts.panicPercent ?? 0,
  );
  const picks = levels.map((members, index) => balanceLevel(members, loads[index]!.isPanic, parts));
  const only = loads.findIndex(({ load }) => load === 100);
  if (only >= 0) return picks[only]!;
  if (picks.length === 0) return none;
  return (hash, tries) => {
    // As Envoy does it: the same key stays with its priority as long as the loads do.
    const drawn = hash === undefined ? Math.floor(parts.random() * 100) : hashModulo(hash, 100);
    let sum = 0;
    let level = 0;
    while (level < loads.length - 1) {
      sum += loads[level]!.load;
      if (drawn < sum) break;
      level++;
    }
    return picks[level]!(hash, tries);
  };
}

function balanceLevel<C extends Balanced>(
  members: readonly C[],
  isPanic: boolean,
  parts: BalancerParts,
): Pick<C> {
  const open = members.filter((member) => (isPanic ? !member.isLeaving : member.isEligible));
  if (open.length === 0) return none;
  if (parts.policy.weighsLocalities !== true) return balanceWarm(open, parts);
  return balanceLocalities(members, open, parts);
}

/** Requests divide over localities by weight first, less for those of which much is down; then over each one's endpoints. */
function balanceLocalities<C extends Balanced>(
  members: readonly C[],
  open: readonly C[],
  parts: BalancerParts,
): Pick<C> {
  const totals = Map.groupBy(members, ({ localityKey }) => localityKey);
  const localities = [...Map.groupBy(open, ({ localityKey }) => localityKey)]
    .map(([key, own]) => {
      const all = totals.get(key)!;
      const whole = Math.min(1, (overprovisioning / 100) * (own.length / all.length));
      const weight = own[0]!.localityWeight ?? all.reduce((sum, member) => sum + member.weight, 0);
      return { key, own, active: 0, weight: weight * whole };
    })
    .filter(({ weight }) => weight > 0);
  if (isHashing(parts.policy)) return balanceHashed(localities, parts);
  const picks = new Map(localities.map((locality) => [locality, balanceWarm(locality.own, parts)]));
  const pickLocality = random.build(localities, parts);
  return (hash, tries) => {
    const locality = pickLocality();
    return locality === undefined ? undefined : picks.get(locality)!(hash, tries);
  };
}

/** One ring or table over all localities, so that a key stays where it is when another locality changes. */
function balanceHashed<C extends Balanced>(
  localities: readonly { readonly own: readonly C[]; readonly weight: number }[],
  parts: BalancerParts,
): Pick<C> {
  const weighted = localities.flatMap(({ own, weight }) => {
    const sum = own.reduce((all, member) => all + member.weight, 0);
    return own.map((member) => new Weighted(member, (weight * member.weight) / sum));
  });
  return unwrapped(balancers[parts.policy.kind].build(weighted, parts));
}

function balanceWarm<C extends Balanced>(open: readonly C[], parts: BalancerParts): Pick<C> {
  const { policy, clock } = parts;
  const balancer = balancers[policy.kind];
  const { warmup } = policy;
  const now = clock.monotonic();
  if (warmup === undefined || isHashing(policy) || !open.some((one) => isWarming(one, warmup, now))) {
    return balancer.build(open, parts);
  }
  const weighted = open.map(
    (member) => new Weighted(member, member.weight * warmth(now - member.eligibleSince, warmup)),
  );
  return unwrapped(balancer.build(weighted, parts));
}

function unwrapped<C extends Candidate>(pick: Pick<Weighted<C>>): Pick<C> {
  return (hash, tries) => pick(hash, tries)?.of;
}

function isHashing({ kind }: LoadBalancer): boolean {
  return kind === "ring-hash" || kind === "maglev";
}

function isEligible(candidate: Balanced): boolean {
  return candidate.isEligible;
}

const none = () => undefined;
