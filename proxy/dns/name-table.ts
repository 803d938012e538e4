import { isIPv4 } from "node:net";
import type { DnsDomain, DnsTable } from "../../common/model/dns.ts";

/** What a name stands for, ready for answers. */
export interface KnownName {
  readonly ipv4: readonly string[];
  readonly ipv6: readonly string[];
  readonly ttlSeconds: number;
}

/** The names of a table by name. */
export class NameTable {
  readonly #exact = new Map<string, KnownName>();
  /** By suffix, `.example.com`. */
  readonly #wildcards = new Map<string, KnownName>();

  constructor(table: DnsTable) {
    for (const domain of table.domains) {
      const { name } = domain;
      if (name.startsWith("*.")) this.#wildcards.set(name.slice(1), toKnownName(domain));
      else this.#exact.set(name, toKnownName(domain));
    }
  }

  get size(): number {
    return this.#exact.size + this.#wildcards.size;
  }

  /** In any case of letters, with or without the dot at the end; the exact name wins, then the longest suffix. */
  find(asked: string): KnownName | undefined {
    const lower = asked.toLowerCase();
    const name = lower.endsWith(".") ? lower.slice(0, -1) : lower;
    const exact = this.#exact.get(name);
    if (exact !== undefined || this.#wildcards.size === 0) return exact;
    for (let dot = name.indexOf(".", 1); dot !== -1; dot = name.indexOf(".", dot + 1)) {
      const found = this.#wildcards.get(name.slice(dot));
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

function toKnownName({ addresses, ttlSeconds }: DnsDomain): KnownName {
  return {
    ipv4: addresses.filter((address) => isIPv4(address)),
    ipv6: addresses.filter((address) => !isIPv4(address)),
    ttlSeconds,
  };
}
