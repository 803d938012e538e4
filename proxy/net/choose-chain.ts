import type { ChainMatch } from "../../common/model/listener.ts";
import type { SocketAddress } from "../../common/model/node.ts";
import { CidrList } from "./cidr.ts";

/** What is known of a connection when its chain is chosen. */
export interface ConnectionFacts {
  /** Where it was meant to go: the original destination of a redirected connection, else the address that took it. */
  readonly destination: SocketAddress;
  /** The client's address. */
  readonly source: string;
  readonly isTls: boolean;
  readonly serverName?: string | undefined;
  /** What the client offers to speak within TLS, or speaks without. */
  readonly protocols?: readonly string[] | undefined;
}

/** The chains of a listener, ready to be chosen from. */
export class ChainTable<C extends ChainMatch & { readonly tls?: unknown }> {
  /** The chain that takes whatever comes, when there is no other. */
  readonly only: C | undefined;
  /** Whether the choice depends on the first bytes. */
  readonly looksAtTls: boolean;
  /** Whether it depends on what is spoken in them where they are no TLS. */
  readonly looksAtHttp: boolean;
  readonly #entries: readonly Entry<C>[];

  constructor(chains: readonly C[]) {
    this.#entries = chains.map((chain) => ({
      chain,
      destinations: new CidrList(chain.destinationCidrs ?? []),
      sources: new CidrList(chain.sourceCidrs ?? []),
    }));
    this.only = chains.length === 1 && takesAll(chains[0]!) ? chains[0] : undefined;
    this.looksAtTls = chains.some(looksAtBytes);
    this.looksAtHttp = chains.some(
      ({ transport, applicationProtocols = [] }) => transport === "raw" && applicationProtocols.length > 0,
    );
  }

  /** Whether the first bytes of a connection for this address could make a difference. */
  needsBytes({ host, port }: SocketAddress): boolean {
    if (!this.looksAtTls) return false;
    return this.#meantFor({ host, port }).some(({ chain }) => looksAtBytes(chain) || chain.tls !== undefined);
  }

  #meantFor(destination: SocketAddress): readonly Entry<C>[] {
    const left = preferred(
      this.#entries,
      ({ chain }) => chain.destinationPort === destination.port,
      ({ chain }) => chain.destinationPort === undefined,
    );
    return longest(left, destination.host, "destinations", "destinationCidrs");
  }

  /**
   * Envoy's way: by destination port, destination address, server name, transport, application protocol, source address, each time keeping the most specific
   * chains that fit and never going back.
   */
  choose({ destination, source, isTls, serverName, protocols }: ConnectionFacts): C | undefined {
    const transport = isTls ? "tls" : "raw";
    let left = named(this.#meantFor(destination), serverName);
    left = preferred(
      left,
      ({ chain }) => chain.transport === transport,
      ({ chain }) => chain.transport === undefined,
    );
    left = preferred(
      left,
      ({ chain }) => chain.applicationProtocols?.some((name) => protocols?.includes(name)) === true,
      ({ chain }) => (chain.applicationProtocols ?? []).length === 0,
    );
    return longest(left, source, "sources", "sourceCidrs")[0]?.chain;
  }
}

interface Entry<C> {
  readonly chain: C;
  readonly destinations: CidrList;
  readonly sources: CidrList;
}

function looksAtBytes({ serverNames = [], transport, applicationProtocols = [] }: ChainMatch): boolean {
  return serverNames.length + applicationProtocols.length > 0 || transport !== undefined;
}

function takesAll(match: ChainMatch): boolean {
  const { destinationPort, destinationCidrs = [], serverNames = [], transport, sourceCidrs = [] } = match;
  return (
    destinationPort === undefined &&
    transport === undefined &&
    (match.applicationProtocols ?? []).length === 0 &&
    destinationCidrs.length + serverNames.length + sourceCidrs.length === 0
  );
}

function preferred<T>(
  all: readonly T[],
  fits: (entry: T) => boolean,
  isOpen: (entry: T) => boolean,
): readonly T[] {
  const fitting = all.filter(fits);
  return fitting.length > 0 ? fitting : all.filter(isOpen);
}

function longest<C extends ChainMatch>(
  all: readonly Entry<C>[],
  address: string,
  list: "destinations" | "sources",
  field: "destinationCidrs" | "sourceCidrs",
): readonly Entry<C>[] {
  if (all.every(({ chain }) => (chain[field] ?? []).length === 0)) return all;
  const lengths = all.map((entry) => entry[list].longest(address));
  const best = Math.max(...lengths);
  return best === -1
    ? all.filter(({ chain }) => (chain[field] ?? []).length === 0)
    : all.filter((_, index) => lengths[index] === best);
}

function named<C extends ChainMatch>(
  all: readonly Entry<C>[],
  serverName: string | undefined,
): readonly Entry<C>[] {
  for (const name of serverName === undefined ? [] : [serverName, ...wildcardsOf(serverName)]) {
    const found = all.filter(({ chain }) => chain.serverNames?.includes(name));
    if (found.length > 0) return found;
  }
  return all.filter(({ chain }) => (chain.serverNames ?? []).length === 0);
}

/** `*.b.c`, `*.c` for `a.b.c`. */
function wildcardsOf(name: string): string[] {
  const wildcards: string[] = [];
  for (let dot = name.indexOf("."); dot !== -1; dot = name.indexOf(".", dot + 1))
    wildcards.push(`*${name.slice(dot)}`);
  return wildcards;
}

/** The chain that takes TLS for a name, whatever else it looks at: where a request for that host should have come in. */
export function chainForName<C extends ChainMatch>(chains: readonly C[], serverName: string): C | undefined {
  const forTls = chains.filter(({ transport }) => transport !== "raw");
  const entries = forTls.map((chain) => ({
    chain,
    destinations: new CidrList([]),
    sources: new CidrList([]),
  }));
  return named(entries, serverName)[0]?.chain;
}
