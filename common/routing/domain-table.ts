import { canonicalAuthority, hostOf } from "./host.ts";

/** One domain of a virtual host and what it stands for. */
export interface DomainEntry<V> {
  readonly domain: string;
  readonly value: V;
}

/**
 * Finds what a host belongs to, by Envoy's order: exact domains, suffix wildcards (`*.example.com`) with the longest first,
 * prefix wildcards (`reviews.*`) with the longest first, then `*`. Within each kind the host is tried with its port, then without.
 * A wildcard stands for at least one character.
 */
export class DomainTable<V> {
  readonly #exact = new Map<string, DomainEntry<V>>();
  readonly #suffixes = new Map<string, DomainEntry<V>>();
  readonly #prefixes = new Map<string, DomainEntry<V>>();
  #suffixLengths: number[] = [];
  #prefixLengths: number[] = [];
  #any: DomainEntry<V> | undefined;

  /** When two entries have the same domain the first one keeps it. */
  constructor(entries: Iterable<DomainEntry<V>>) {
    for (const entry of entries) {
      const domain = entry.domain.toLowerCase();
      if (domain === "*") this.#any ??= entry;
      else if (domain.startsWith("*")) addFirst(this.#suffixes, domain.slice(1), entry);
      else if (domain.endsWith("*")) addFirst(this.#prefixes, domain.slice(0, -1), entry);
      else addFirst(this.#exact, canonicalAuthority(domain), entry);
    }
    this.#suffixLengths = lengthsOf(this.#suffixes);
    this.#prefixLengths = lengthsOf(this.#prefixes);
  }

  find(authority: string): DomainEntry<V> | undefined {
    // Keys are canonical, so a hit with the authority as sent is the answer without making it canonical.
    const asSent = this.#exact.get(authority);
    if (asSent !== undefined) return asSent;
    const withPort = canonicalAuthority(authority);
    const host = hostOf(withPort);
    return (
      this.#exact.get(withPort) ??
      this.#exact.get(host) ??
      this.#findSuffix(withPort) ??
      this.#findSuffix(host) ??
      this.#findPrefix(withPort) ??
      this.#findPrefix(host) ??
      this.#any
    );
  }

  #findSuffix(host: string): DomainEntry<V> | undefined {
    for (const length of this.#suffixLengths) {
      if (length >= host.length) continue;
      const entry = this.#suffixes.get(host.slice(host.length - length));
      if (entry !== undefined) return entry;
    }
    return undefined;
  }

  #findPrefix(host: string): DomainEntry<V> | undefined {
    for (const length of this.#prefixLengths) {
      if (length >= host.length) continue;
      const entry = this.#prefixes.get(host.slice(0, length));
      if (entry !== undefined) return entry;
    }
    return undefined;
  }
}

function addFirst<V>(entries: Map<string, DomainEntry<V>>, key: string, entry: DomainEntry<V>): void {
  if (!entries.has(key)) entries.set(key, entry);
}

/** Distinct lengths, longest first. */
function lengthsOf(entries: ReadonlyMap<string, unknown>): number[] {
  return [...new Set([...entries.keys()].map((key) => key.length))].sort((a, b) => b - a);
}
