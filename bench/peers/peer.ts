import type { Installed } from "../support/install.ts";

/** A proxy that stands between the load and the backend, or nothing at all. */
export interface PeerKind {
  /** Short, and unique in a table. */
  readonly name: string;
  /** What it does per request, so that a reader can judge whether the comparison is fair. */
  readonly does: string;
  /** Gets what it needs onto this machine, or says why that is impossible. */
  install(): Promise<Installed>;
  /** Starts it in front of the backend, pinned to the proxy core, and resolves when it serves. */
  start(backendPort: number): Promise<Peer>;
}

export interface Peer {
  readonly port: number;
  /** The process whose CPU time and memory count; absent for no proxy. */
  readonly pid?: number;
  /** Further processes whose use counts too. */
  readonly morePids?: readonly number[];
  stop(): Promise<void>;
}

/** Every peer is asked for this, so that proxies with routes have the same to match: the last of the routes. */
export const benchHost = "backend.bench.local";
export const benchPath = "/route-99/item";

/** Prefixes of the routes of peers that route: `/route-0/` to `/route-99/`. */
export function routePrefixes(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `/route-${100 - count + index}/`);
}
