import { isIP } from "node:net";
import type { CancelTimer } from "../../common/base/clock.ts";
import type { Cluster, UpstreamProtocol } from "../../common/model/cluster.ts";
import type { SocketAddress } from "../../common/model/node.ts";
import type { ClientTls } from "../../common/model/tls.ts";
import { meshError } from "../errors.ts";
import type { Exchange } from "../http/exchange.ts";
import type { ClusterParts } from "./cluster-parts.ts";
import { bindAddressTo } from "./connect.ts";
import { EndpointState, endpointKey } from "./endpoint-state.ts";
import type { ClusterLoad } from "./load.ts";
import { createPool } from "./request-pool.ts";

/**
 * Endpoints made on demand (Envoy's ORIGINAL_DST): a request on a redirected connection goes where that was meant to go; in explicit mode
 * each request's authority says where it goes, port 80 or 443 when it names none. Addresses unused for a while are dropped.
 */
export class OriginalDestination {
  readonly #parts: ClusterParts;
  readonly #connectTimeoutMs: () => number;
  readonly #load: ClusterLoad;
  readonly #tls: ClientTls | undefined;
  readonly #protocol: UpstreamProtocol;
  readonly #cluster: Pick<Cluster, "bindAddresses">;
  readonly #port: number | undefined;
  readonly #byAuthority = new Map<string, Found>();
  readonly #endpoints = new Map<string, EndpointState>();
  #cancelSweep: CancelTimer | undefined = undefined;

  constructor(
    parts: ClusterParts,
    connectTimeoutMs: () => number,
    load: ClusterLoad,
    cluster: Pick<Cluster, "tls" | "protocol" | "bindAddresses">,
    port: number | undefined,
  ) {
    this.#tls = cluster.tls;
    this.#protocol = cluster.protocol ?? "http1";
    this.#cluster = cluster;
    this.#port = port;
    this.#parts = parts;
    this.#connectTimeoutMs = connectTimeoutMs;
    this.#load = load;
  }

  get endpoints(): Iterable<EndpointState> {
    return this.#endpoints.values();
  }

  /**
   * The endpoint that the exchange names, at once when it is known. Rejects with `no_healthy_upstream` when the name does not resolve and
   * with `no_route` when it leads back to this proxy.
   */
  find(exchange: Exchange): EndpointState | Promise<EndpointState> {
    const { destination, isRedirected } = exchange.downstream;
    const meant = isRedirected ? destination : undefined;
    const where = meant === undefined ? "" : ` at ${meant.host} ${meant.port}`;
    const key = `${exchange.scheme}://${meant !== undefined && this.#tls === undefined ? "" : exchange.authority}${where}`;
    const found = this.#byAuthority.get(key);
    if (found !== undefined) {
      found.isUsed = true;
      return found.state;
    }
    return this.#resolve(key, exchange, meant);
  }

  drain(): void {
    this.#cancelSweep?.();
    this.#byAuthority.clear();
    for (const { pool } of this.#endpoints.values()) pool.drain();
    this.#endpoints.clear();
  }

  async #resolve(key: string, exchange: Exchange, meant: SocketAddress | undefined): Promise<EndpointState> {
    const named = parseAuthority(exchange.authority, exchange.scheme === "https" ? 443 : 80);
    if (named === undefined && meant === undefined) throw meshError("no_route", "authority_names_no_address");
    // A route may send to another port of the service than the one that was asked for.
    const { host, port } = { ...(named ?? meant!), ...(meant && { port: meant.port }) };
    const target = { host, port: this.#port ?? port };
    if (meant !== undefined) return this.#remember(key, meant.host, target);
    const { addresses } = await this.#parts.resolver.resolve(target.host).catch((cause: unknown) => {
      throw meshError("no_healthy_upstream", "name_not_resolved", cause);
    });
    const address = addresses.find((candidate) => isIP(candidate) !== 0);
    if (address === undefined) throw meshError("no_healthy_upstream", "name_not_resolved");
    return this.#remember(key, address, target);
  }

  #remember(key: string, address: string, target: SocketAddress): EndpointState {
    if (this.#parts.isOwnListener(address, target.port)) throw meshError("no_route", "loop_to_own_listener");
    const state = this.#stateOf(address, target.port, target.host);
    if (this.#byAuthority.size >= maxAuthorities) this.#byAuthority.clear();
    this.#byAuthority.set(key, { state, isUsed: true });
    this.#cancelSweep ??= this.#parts.clock.every(sweepMs, () => this.#sweep());
    return state;
  }

  #stateOf(address: string, port: number, host: string): EndpointState {
    const settings = this.#tls;
    const tls = settings && { settings, serverName: host };
    // One address can serve many names, and a TLS connection is for one.
    const key = endpointKey({ address, port }) + (tls === undefined ? "" : ` ${host}`);
    const known = this.#endpoints.get(key);
    if (known !== undefined) return known;
    const { connect, pool, clock } = this.#parts;
    const pooled = createPool(this.#protocol, {
      connect: (protocol) => {
        const { tcpKeepalive, http2Keepalive } = this.#load.limits;
        const http2 = protocol === "http2" ? { keepalive: http2Keepalive } : undefined;
        const target = { host: address, port, from: bindAddressTo(address, this.#cluster) };
        return connect(target, this.#connectTimeoutMs(), tcpKeepalive, tls, http2);
      },
      load: this.#load,
      settings: pool,
      clock,
    });
    const state = new EndpointState({ address, port, weight: 1, health: "healthy" }, pooled);
    this.#endpoints.set(key, state);
    return state;
  }

  /** Names are resolved anew when they were not used for a sweep, at the latest after `maxSweeps`. */
  #sweep(): void {
    const inUse = new Set<EndpointState>();
    for (const [key, found] of this.#byAuthority) {
      found.sweeps = (found.sweeps ?? 0) + 1;
      if (!found.isUsed || found.sweeps >= maxSweeps) this.#byAuthority.delete(key);
      else inUse.add(found.state);
      found.isUsed = false;
    }
    for (const [key, state] of this.#endpoints) {
      if (inUse.has(state) || state.active > 0) continue;
      this.#endpoints.delete(key);
      state.pool.drain();
    }
    if (this.#byAuthority.size > 0 || this.#endpoints.size > 0) return;
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
  }
}

interface Found {
  readonly state: EndpointState;
  isUsed: boolean;
  sweeps?: number;
}

/** `reviews:9080`, `[::1]:80`, `10.0.0.1`. Undefined when it is neither a host nor a host with a port of 1..65535. */
export function parseAuthority(
  authority: string,
  defaultPort: number,
): { readonly host: string; readonly port: number } | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:@/\\?#[\]\s]+))(?::(\d{1,5}))?$/i.exec(authority);
  const host = match?.[1] ?? match?.[2];
  if (match === null || host === undefined) return undefined;
  const port = match[3] === undefined ? defaultPort : Number(match[3]);
  return port >= 1 && port <= 65_535 ? { host, port } : undefined;
}

/** A client that asks for ever new names must not fill the memory. */
const maxAuthorities = 4_096;
const sweepMs = 10_000;
const maxSweeps = 6;
