import type { Clock } from "../../common/base/clock.ts";
import type { LeaseReply, LeaseReport, RuleDemand, RuleLease } from "../../common/xds/lease-service.ts";

/** ms that a share holds without another reply. A proxy reports every second, so one that is there never runs out. */
export const leaseTtlMs = 5_000;

/** ms after the start in which proxies of the control plane before may still be on their way to this one. */
const settlingMs = 15_000;

/**
 * Of every limit, what all proxies may use at any time for keys that they had no request for when they last reported: each the same
 * part of it. So the first requests for a key need not wait for a lease, and all together still stay within the limit.
 */
const reserved = 0.1;

/** A lease is for so many times what came, so that growing traffic need not wait for the next one. */
const headroom = 1.25;

/** The share of a new demand in the smoothed one. */
const smoothing = 0.5;

/** Keys whose burst is remembered although nobody asks for them now; the oldest are forgotten. */
const maxIdleKeys = 100_000;

interface Holder {
  readonly rules: Map<string, HolderRule>;
  /** By version, oldest first: the shares by `rule key` of the replies that the proxy may still go by. */
  given: { readonly version: number; readonly shares: ReadonlyMap<string, number> }[];
  version: number;
  expiresAt: number;
  isConnected: boolean;
}

interface HolderRule {
  readonly perSecond: number;
  readonly burst: number;
  readonly proxies: number;
  /** By key. */
  readonly demand: ReadonlyMap<string, number>;
}

/** Those that need or hold more of a key than what everybody has, and what nobody has used of its burst. */
interface DividedKey {
  readonly holders: Set<Holder>;
  /** Of the part of the burst that is not everybody's. */
  tokens: number;
  at: number;
  burst: number;
  perSecond: number;
}

/** Replies that are remembered of a proxy that never says which it goes by. */
const maxGiven = 16;

/**
 * Divides limits among the proxies that share them, by what they need: whoever needs less than its even part gets what it needs, and
 * the others divide the rest evenly (max-min fairness). A share that shrinks counts as held until its proxy says that it goes by the smaller
 * one, or until the lease has run out; only then somebody else's grows. So what is held together never exceeds a limit, however
 * late a message is. Knows nothing of the resources: proxies say what their rules allow.
 */
export class LeaseLedger {
  readonly #clock: Clock;
  readonly #startedAt: number;
  #sweptAt = Number.NEGATIVE_INFINITY;
  readonly #holders = new Map<string, Holder>();
  readonly #byRule = new Map<string, Set<Holder>>();
  /** By `rule key`. */
  readonly #byKey = new Map<string, DividedKey>();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedAt = clock.monotonic();
  }

  /** Proxies that hold shares or might. */
  get holders(): number {
    return this.#holders.size;
  }

  /** Keys that are divided. */
  get keys(): number {
    return this.#byKey.size;
  }

  /** Takes a report and answers it. */
  report({ proxy, applied, rules }: LeaseReport): LeaseReply {
    const now = this.#clock.monotonic();
    this.#forgetExpired(now);
    const holder = this.#obtain(proxy);
    holder.isConnected = true;
    while (holder.given.length > 1 && holder.given[1]!.version <= applied) holder.given.shift();
    if (holder.given.length > maxGiven) holder.given.splice(1, 1);
    this.#note(holder, rules, now);
    const shares = new Map<string, number>();
    const leases = rules.map(({ rule }) => this.#lease(holder, rule, shares, now));
    holder.version++;
    holder.given.push({ version: holder.version, shares });
    holder.expiresAt = now + leaseTtlMs;
    return { version: holder.version, ttlMs: leaseTtlMs, rules: leases };
  }

  /** A proxy's stream ended. What it holds it holds until its lease runs out, for it may only be cut off. */
  gone(proxy: string): void {
    const holder = this.#holders.get(proxy);
    if (holder !== undefined) holder.isConnected = false;
  }

  #lease(own: Holder, rule: string, shares: Map<string, number>, now: number): RuleLease {
    const here = this.#byRule.get(rule)!.size;
    const proxies = this.#countProxies(rule, now);
    const otherShare = reserved / proxies;
    const { demand, burst } = own.rules.get(rule)!;
    const keys = [...demand.keys()].map((key) => {
      const name = nameOf(rule, key);
      const divided = this.#byKey.get(name)!;
      const concerned = divided.holders;
      // While others may be on their way, each has the part that it goes by without us.
      const fair = proxies > here ? 1 / proxies : fairShare(own, rule, key, concerned);
      const wanted = (1 - reserved) * fair + otherShare;
      let elsewhere = (proxies - here) / proxies + (here - concerned.size) * otherShare;
      for (const holder of concerned) if (holder !== own) elsewhere += heldBy(holder, name, otherShare);
      const share = Math.max(otherShare, Math.min(wanted, 1 - elsewhere));
      shares.set(name, share);
      const before = own.given.at(-1)!.shares.get(name) ?? otherShare;
      const free = 1 - elsewhere - heldBy(own, name, otherShare);
      refill(divided, Math.max(0, free), now);
      const tokens = Math.min(divided.tokens, burst * Math.max(0, share - before));
      divided.tokens -= tokens;
      return [key, share, tokens] as const;
    });
    return { rule, proxies, otherShare, keys };
  }

  /** Soon after a start those count too that the proxies remember and that have not come back yet. */
  #countProxies(rule: string, now: number): number {
    const here = this.#byRule.get(rule)!;
    if (now - this.#startedAt > settlingMs) return here.size;
    return Math.max(here.size, ...Array.from(here, ({ rules }) => rules.get(rule)!.proxies));
  }

  #obtain(proxy: string): Holder {
    let holder = this.#holders.get(proxy);
    if (holder === undefined) {
      const given = [{ version: 0, shares: new Map<string, number>() }];
      holder = { rules: new Map(), given, version: 0, expiresAt: 0, isConnected: true };
      this.#holders.set(proxy, holder);
    }
    return holder;
  }

  #note(holder: Holder, rules: readonly RuleDemand[], now: number): void {
    const before = new Map(holder.rules);
    const left = this.#leaveIndexes(holder);
    holder.rules.clear();
    const join = (name: string, perSecond: number, burst: number): void => {
      let divided = this.#byKey.get(name);
      if (divided === undefined) {
        divided = { holders: new Set(), tokens: burst * (1 - reserved), at: now, burst, perSecond };
        this.#byKey.set(name, divided);
      } else if (divided.holders.size === 0 && !left.has(name)) refill(divided, 1 - reserved, now);
      divided.holders.add(holder);
      divided.burst = burst;
      divided.perSecond = perSecond;
    };
    for (const { rule, perSecond, burst, proxies, keys } of rules) {
      const demand = smoothed(before.get(rule)?.demand ?? new Map(), new Map(keys), perSecond);
      holder.rules.set(rule, { perSecond, burst, proxies, demand });
      const sharers = this.#byRule.get(rule);
      if (sharers === undefined) this.#byRule.set(rule, new Set([holder]));
      else sharers.add(holder);
      for (const key of demand.keys()) join(nameOf(rule, key), perSecond, burst);
    }
    for (const { shares } of holder.given) {
      for (const name of shares.keys()) {
        const { perSecond = 0, burst = 0 } = this.#byKey.get(name) ?? {};
        join(name, perSecond, burst);
      }
    }
    this.#noteIdle(left, now);
  }

  /** Answers with the keys that it left. */
  #leaveIndexes(holder: Holder): ReadonlySet<string> {
    const names = new Set(holder.given.flatMap(({ shares }) => [...shares.keys()]));
    for (const [rule, { demand }] of holder.rules) {
      const sharers = this.#byRule.get(rule);
      if (sharers?.delete(holder) && sharers.size === 0) this.#byRule.delete(rule);
      for (const key of demand.keys()) names.add(nameOf(rule, key));
    }
    for (const name of names) this.#byKey.get(name)?.holders.delete(holder);
    return names;
  }

  /** From now on their burst comes back. */
  #noteIdle(names: Iterable<string>, now: number): void {
    for (const name of names) {
      const key = this.#byKey.get(name);
      if (key?.holders.size === 0) key.at = now;
    }
  }

  /** Forgets keys that nobody needs any more, once their burst has come back: else it could be had again and again. */
  #forgetKeys(now: number): void {
    let excess = this.#byKey.size - maxIdleKeys;
    for (const [name, key] of this.#byKey) {
      if (key.holders.size > 0) continue;
      refill(key, 1 - reserved, now);
      if (excess-- > 0 || key.tokens >= key.burst * (1 - reserved)) this.#byKey.delete(name);
    }
  }

  #forgetExpired(now: number): void {
    if (now - this.#sweptAt < leaseTtlMs) return;
    this.#sweptAt = now;
    for (const [proxy, holder] of this.#holders) {
      if (holder.isConnected || holder.expiresAt >= now) continue;
      this.#noteIdle(this.#leaveIndexes(holder), now);
      this.#holders.delete(proxy);
    }
    this.#forgetKeys(now);
  }
}

function nameOf(rule: string, key: string): string {
  return `${rule} ${key}`;
}

/** The most that a proxy may go by. */
function heldBy({ given }: Holder, name: string, otherShare: number): number {
  return given.reduce((most, { shares }) => Math.max(most, shares.get(name) ?? otherShare), 0);
}

/** 0..1; the parts of all that need something make 1. */
function fairShare(own: Holder, rule: string, key: string, concerned: Iterable<Holder>): number {
  const needs = Array.from(concerned, (holder) => {
    const { demand, perSecond } = holder.rules.get(rule) ?? {
      demand: new Map<string, number>(),
      perSecond: 1,
    };
    return { holder, need: (headroom * (demand.get(key) ?? 0)) / Math.max(perSecond, Number.MIN_VALUE) };
  })
    .filter(({ need }) => need > 0)
    .sort((a, b) => a.need - b.need);
  let left = 1;
  let part = 0;
  for (const [index, { holder, need }] of needs.entries()) {
    const fair = Math.min(need, left / (needs.length - index));
    left -= fair;
    if (holder === own) part = fair;
  }
  // What nobody needs goes to those who need something, evenly.
  return part === 0 ? 0 : part + left / needs.length;
}

/** Demand that comes counts at once in part; a key without requests fades, and gives its share back after some reports. */
function smoothed(
  before: ReadonlyMap<string, number>,
  now: ReadonlyMap<string, number>,
  perSecond: number,
): ReadonlyMap<string, number> {
  const demand = new Map<string, number>();
  for (const [key, value] of now) {
    const old = before.get(key) ?? value;
    demand.set(key, old + smoothing * (value - old));
  }
  for (const [key, old] of before) {
    const faded = old * smoothing;
    if (!now.has(key) && faded * 100 > perSecond) demand.set(key, faded);
  }
  return demand;
}

/** What nobody holds of the limit, 0..1, fills what nobody has used of the burst. */
function refill(key: DividedKey, free: number, now: number): void {
  const most = key.burst * (1 - reserved);
  key.tokens = Math.min(most, key.tokens + (free * key.perSecond * (now - key.at)) / 1000);
  key.at = now;
}
