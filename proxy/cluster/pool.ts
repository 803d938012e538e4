import type { CancelTimer, Clock } from "../../common/base/clock.ts";
import type { MeshError } from "../errors.ts";
import { meshError, toMeshError } from "../errors.ts";
import type { ClientConnection } from "../http/client-connection.ts";
import type { Exchange, Response } from "../http/exchange.ts";
import { ClusterLoad } from "./load.ts";
import type { RequestPool } from "./request-pool.ts";

export interface PoolSettings {
  /** Connections to one endpoint, opening ones included. */
  readonly maxConnections: number;
  /** Requests that may wait for a connection to one endpoint. */
  readonly maxPending: number;
  /**
   * ms. An idle connection is closed after between half of this and all of it. Smaller than what servers keep idle connections for
   * (Node: 5 s), so that it is seldom the server who closes first, while a request is on its way.
   */
  readonly idleTimeoutMs: number;
}

export const defaultPoolSettings: PoolSettings = Object.freeze({
  maxConnections: 1024,
  maxPending: 4096,
  idleTimeoutMs: 4_500,
});

/** `shared`: see `UpstreamHttp2.isShared`. */
export type ConnectionProtocol = "http1" | "http2" | "shared";

export interface PoolParts {
  /** Opens a connection that speaks what is asked for, or HTTP/1.1 where ALPN comes to that. */
  readonly connect: (protocol: ConnectionProtocol) => Promise<ClientConnection>;
  /** Shared by all pools of a cluster; its limits come before the settings'. */
  readonly load?: ClusterLoad;
  readonly settings: PoolSettings;
  readonly clock: Clock;
}

/**
 * The connections to one endpoint, for codecs that carry one exchange at a time. A connection is in exactly one of three places: idle
 * here, lent to an exchange, or gone. It is never handed out when its codec says that it has no capacity.
 */
export class Pool implements RequestPool {
  /** Requests at this endpoint: lent connections (tunnels too) and requests waiting for one. */
  active = 0;
  /** Connections that are open now, and since the beginning. */
  open = 0;
  opened = 0;
  connectFailures = 0;

  readonly #connect: PoolParts["connect"];
  readonly #settings: PoolSettings;
  readonly #clock: Clock;
  readonly #load: ClusterLoad;
  /** Last in, first out: the busiest stay warm, the others age. */
  readonly #idle: ClientConnection[] = [];
  readonly #all = new Map<ClientConnection, Held>();
  readonly #waiting: Waiting[] = [];
  #opening = 0;
  #isDraining = false;
  #isStopped = false;
  /** The fewest idle connections seen since the last sweep: so many were of no use to anybody. */
  #unused = 0;
  #cancelSweep: CancelTimer | undefined = undefined;

  constructor(parts: PoolParts) {
    this.#connect = parts.connect;
    this.#settings = parts.settings;
    this.#clock = parts.clock;
    this.#load = parts.load ?? new ClusterLoad();
  }

  get idle(): number {
    return this.#idle.length;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * Sends on an idle connection, or on the first that becomes free or open. Rejects with `upstream_overflow` when too many wait or are
   * under way, with a `connect_*` error when none could be opened, with the cancel cause when the request is given up, else as `ClientConnection.send`.
   */
  send(exchange: Exchange): Promise<Response> {
    const { maxRequests } = this.#load.limits;
    if (maxRequests !== undefined && this.#load.requests >= maxRequests) {
      return Promise.reject(meshError("upstream_overflow", "max_requests"));
    }
    const idle = this.#idle;
    for (let connection = idle.pop(); connection !== undefined; connection = idle.pop()) {
      if (idle.length < this.#unused) this.#unused = idle.length;
      if (connection.capacity > 0) {
        this.#begin();
        return this.#lend(connection, exchange);
      }
      this.#dismiss(connection);
    }
    return this.#wait(exchange);
  }

  /** The endpoint is gone: idle connections close, those at work close after their exchange, waiting requests are still served. */
  drain(): void {
    this.#isDraining = true;
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
    for (const connection of this.#idle.splice(0)) this.#dismiss(connection);
  }

  /** Ends everything now; waiting requests fail with `draining`. */
  stop(): void {
    this.#isStopped = true;
    this.drain();
    for (const waiting of this.#takeWaiting(this.#waiting.length))
      this.#refuse(waiting, meshError("draining", "pool_stopped"));
    for (const connection of this.#all.keys()) connection.destroy();
  }

  #begin(): void {
    this.active++;
    this.#load.requests++;
  }

  #end(): void {
    this.active--;
    this.#load.requests--;
  }

  #lend(connection: ClientConnection, exchange: Exchange): Promise<Response> {
    const answered = connection.send(exchange);
    if (this.#isUsedUp(connection)) connection.close();
    // A request that can't be written (a header that filters made illegal) is refused without touching the connection.
    else if (connection.capacity > 0) connection.onAvailable?.();
    return answered;
  }

  /** Counts a request; true for the last that the connection may take. */
  #isUsedUp(connection: ClientConnection): boolean {
    const { maxRequestsPerConnection } = this.#load.limits;
    if (maxRequestsPerConnection === undefined) return false;
    const held = this.#all.get(connection);
    return held !== undefined && ++held.requests >= maxRequestsPerConnection;
  }

  #wait(exchange: Exchange): Promise<Response> {
    if (this.#isStopped) return Promise.reject(meshError("draining", "pool_stopped"));
    const { maxPendingRequests } = this.#load.limits;
    const isFull =
      maxPendingRequests === undefined
        ? this.#waiting.length >= this.#settings.maxPending
        : this.#load.pending >= maxPendingRequests;
    if (isFull) return Promise.reject(meshError("upstream_overflow", "pending_requests"));
    this.#begin();
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { exchange, resolve, reject };
      this.#waiting.push(waiting);
      this.#load.pending++;
      exchange.whenCancelled((cause) => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        this.#load.pending--;
        this.#refuse(waiting, cause);
      });
      this.#openForWaiting();
    });
  }

  #openForWaiting(): void {
    while (this.#opening < this.#waiting.length && this.#mayOpen()) {
      this.#opening++;
      this.#load.connections++;
      this.#connect("http1").then(this.#onOpened, this.#onConnectFailed);
    }
  }

  /** The cluster's limit leaves every endpoint one, so that what waits for it is not stuck (as in Envoy). */
  #mayOpen(): boolean {
    const own = this.open + this.#opening;
    const { maxConnections } = this.#load.limits;
    if (maxConnections === undefined) return own < this.#settings.maxConnections;
    return own === 0 || this.#load.connections < maxConnections;
  }

  readonly #onOpened = (connection: ClientConnection): void => {
    if (this.#isStopped || connection.capacity === 0) {
      connection.destroy();
      this.#onConnectFailed(meshError("connect_failed", "closed_at_once"));
      return;
    }
    this.#opening--;
    this.opened++;
    this.open++;
    this.#all.set(connection, { requests: 0, cancelExpiry: this.#expire(connection) });
    connection.onAvailable = () => {
      this.#end();
      this.#give(connection);
    };
    connection.onClose = () => this.#onClosed(connection);
    this.#give(connection);
  };

  /**
   * One failure answers the request that has waited longest. When nothing else is under way, all of them: a thousand requests must not
   * wait for a thousand refusals in a row.
   */
  readonly #onConnectFailed = (thrown: unknown): void => {
    this.#opening--;
    this.#load.connections--;
    this.connectFailures++;
    const cause = toMeshError(thrown);
    const isHopeless = this.open === 0 && this.#opening === 0;
    for (const waiting of this.#takeWaiting(isHopeless ? this.#waiting.length : 1)) {
      this.#refuse(waiting, cause);
    }
    this.#openForWaiting();
  };

  /** A connection is open and free: for the request that has waited longest, else it becomes idle. */
  #give(connection: ClientConnection): void {
    if (connection.capacity === 0) {
      this.#dismiss(connection);
      this.#openForWaiting();
      return;
    }
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) {
      this.#load.pending--;
      waiting.exchange.whenCancelled(undefined);
      waiting.resolve(this.#lend(connection, waiting.exchange));
    } else if (this.#isDraining) {
      this.#dismiss(connection);
    } else {
      this.#idle.push(connection);
      if (this.#cancelSweep === undefined) this.#scheduleSweep();
    }
  }

  #takeWaiting(count: number): readonly Waiting[] {
    const taken = this.#waiting.splice(0, count);
    this.#load.pending -= taken.length;
    return taken;
  }

  #refuse(waiting: Waiting, cause: MeshError): void {
    this.#end();
    waiting.exchange.whenCancelled(undefined);
    waiting.reject(cause);
  }

  /** Closes a connection that nobody uses. */
  #dismiss(connection: ClientConnection): void {
    connection.onAvailable = undefined;
    connection.onClose = undefined;
    this.#forget(connection);
    connection.close();
  }

  #forget(connection: ClientConnection): void {
    this.open--;
    this.#load.connections--;
    this.#all.get(connection)?.cancelExpiry?.();
    this.#all.delete(connection);
  }

  /** Ends a connection's life when it may have only so much of it: at once when it is idle, else after the exchange under way. */
  #expire(connection: ClientConnection): CancelTimer | undefined {
    const ms = this.#load.limits.maxConnectionDurationMs;
    if (ms === undefined) return undefined;
    return this.#clock.after(ms, () => connection.close());
  }

  #onClosed(connection: ClientConnection): void {
    this.#forget(connection);
    const at = this.#idle.lastIndexOf(connection);
    if (at === -1) this.#end();
    else {
      this.#idle.splice(at, 1);
      if (this.#idle.length < this.#unused) this.#unused = this.#idle.length;
    }
    this.#openForWaiting();
  }

  #scheduleSweep(): void {
    this.#unused = this.#idle.length;
    const idleTimeoutMs = this.#load.limits.idleTimeoutMs ?? this.#settings.idleTimeoutMs;
    this.#cancelSweep = this.#clock.after(idleTimeoutMs / 2, () => {
      this.#cancelSweep = undefined;
      // The oldest lie at the bottom, so the unused ones are the first.
      for (const connection of this.#idle.splice(0, this.#unused)) this.#dismiss(connection);
      if (this.#idle.length > 0) this.#scheduleSweep();
    });
  }
}

/** What is remembered of an open connection. */
interface Held {
  requests: number;
  readonly cancelExpiry: CancelTimer | undefined;
}

interface Waiting {
  readonly exchange: Exchange;
  readonly resolve: (response: Promise<Response>) => void;
  readonly reject: (cause: MeshError) => void;
}
