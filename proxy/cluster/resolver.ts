import type { RecordWithTtl } from "node:dns";
import { lookup, Resolver } from "node:dns/promises";
import { isIP } from "node:net";

/** Turns host names into addresses. The one place that asks the system. */
export interface AddressResolver {
  /** At least one address. Rejects when the name has none or nobody answers. */
  resolve(hostname: string): Promise<ResolvedName>;
}

export interface ResolvedName {
  readonly addresses: readonly string[];
  /** ms for which the answer holds, when a name server said so. */
  readonly ttlMs?: number;
}

/**
 * Asks as every program on this machine does (hosts file, search domains), so Weft reaches what the app would have reached. That
 * interface hides how long an answer holds, so a name server is asked for it beside. Nobody waits for that: a name server that is out
 * of reach must not slow down a name from the hosts file, so what it says counts from the next answer on.
 */
export function systemResolver(): AddressResolver {
  const nameServers = new Resolver({ timeout: 1_000, tries: 1 });
  const known = new Map<string, readonly RecordWithTtl[]>();
  const learn = (hostname: string) =>
    nameServers.resolve4(hostname, { ttl: true }).then(
      (records) => {
        if (known.size >= maxKnown) known.clear();
        known.set(hostname, records);
      },
      () => known.delete(hostname),
    );
  return {
    async resolve(hostname) {
      if (isIP(hostname) !== 0) return { addresses: [hostname], ttlMs: Number.POSITIVE_INFINITY };
      void learn(hostname);
      const found = await lookup(hostname, { all: true });
      const addresses = [...new Set(found.map(({ address }) => address))];
      const records = known.get(hostname) ?? [];
      const ttls = records.filter(({ address }) => addresses.includes(address)).map(({ ttl }) => ttl);
      return ttls.length === 0 ? { addresses } : { addresses, ttlMs: Math.min(...ttls) * 1_000 };
    },
  };
}

const maxKnown = 4_096;
