import type { CancelTimer, Clock } from "../../common/base/clock.ts";
import type { MeshError } from "../errors.ts";
import { meshError, toMeshError } from "../errors.ts";
import type { ClientConnection } from "../http/client-connection.ts";
import type { Exchange, Response } from "../http/exchange.ts";

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

export interface PoolParts {
  readonly connect: () => Promise<ClientConnection>;
  readonly settings: PoolSettings;
  readonly clock: Clock;
}

/**
 * The connections to one endpoint, for codecs that carry one exchange at a time. A connection is in exactly one of three places: idle
 * here, lent to an exchange, or gone. It is never handed out when its codec says that it has no capacity.
 */
export class Pool {
  /** Requests at this endpoint: lent connections (tunnels too) and requests waiting for one. */
  active = 0;
  /** Connections that are open now, and since the beginning. */
  open = 0;
  opened = 0;
  connectFailures = 0;

  readonly #connect: () => Promise<ClientConnection>;
  readonly #settings: PoolSettings;
  readonly #clock: Clock;
  /** Last in, first out: the busiest stay warm, the others age. */
  readonly #idle: ClientConnection[] = [];
  readonly #all = new Set<ClientConnection>();
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
  }

  get idle(): number {
    return this.#idle.length;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * Sends on an idle connection, or on the first that becomes free or open. Rejects with `upstream_overflow` when too many wait, with a
   * `connect_*` error when none could be opened, with the cancel cause when the request is given up, else as `ClientConnection.send`.
   */
  send(exchange: Exchange): Promise<Response> {
    const idle = this.#idle;
    for (let connection = idle.pop(); connection !== undefined; connection = idle.pop()) {
      if (idle.length < this.#unused) this.#unused = idle.length;
      if (connection.capacity > 0) {
        this.active++;
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
    for (const waiting of this.#waiting.splice(0))
      this.#refuse(waiting, meshError("draining", "pool_stopped"));
    for (const connection of this.#all) connection.destroy();
  }

  #lend(connection: ClientConnection, exchange: Exchange): Promise<Response> {
    const answered = connection.send(exchange);
    // A request that can't be written (a header that filters made illegal) is refused without touching the connection.
    if (connection.capacity > 0) connection.onAvailable?.();
    return answered;
  }

  #wait(exchange: Exchange): Promise<Response> {
    if (this.#isStopped) return Promise.reject(meshError("draining", "pool_stopped"));
    if (this.#waiting.length >= this.#settings.maxPending) {
      return Promise.reject(meshError("upstream_overflow", "pending_requests"));
    }
    this.active++;
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { exchange, resolve, reject };
      this.#waiting.push(waiting);
      exchange.whenCancelled((cause) => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        this.#refuse(waiting, cause);
      });
      this.#openForWaiting();
    });
  }

  #openForWaiting(): void {
    const { maxConnections } = this.#settings;
    while (this.#opening < this.#waiting.length && this.open + this.#opening < maxConnections) {
      this.#opening++;
      this.#connect().then(this.#onOpened, this.#onConnectFailed);
    }
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
    this.#all.add(connection);
    connection.onAvailable = () => {
      this.active--;
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
    this.connectFailures++;
    const cause = toMeshError(thrown);
    const isHopeless = this.open === 0 && this.#opening === 0;
    for (const waiting of this.#waiting.splice(0, isHopeless ? this.#waiting.length : 1)) {
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
      waiting.exchange.whenCancelled(undefined);
      waiting.resolve(this.#lend(connection, waiting.exchange));
    } else if (this.#isDraining) {
      this.#dismiss(connection);
    } else {
      this.#idle.push(connection);
      if (this.#cancelSweep === undefined) this.#scheduleSweep();
    }
  }

  #refuse(waiting: Waiting, cause: MeshError): void {
    this.active--;
    waiting.exchange.whenCancelled(undefined);
    waiting.reject(cause);
  }

  /** Closes a connection that nobody uses. */
  #dismiss(connection: ClientConnection): void {
    connection.onAvailable = undefined;
    connection.onClose = undefined;
    this.open--;
    this.#all.delete(connection);
    connection.close();
  }

  #onClosed(connection: ClientConnection): void {
    this.open--;
    this.#all.delete(connection);
    const at = this.#idle.lastIndexOf(connection);
    if (at === -1) this.active--;
    else {
      this.#idle.splice(at, 1);
      if (this.#idle.length < this.#unused) this.#unused = this.#idle.length;
    }
    this.#openForWaiting();
  }

  #scheduleSweep(): void {
    this.#unused = this.#idle.length;
    this.#cancelSweep = this.#clock.after(this.#settings.idleTimeoutMs / 2, () => {
      this.#cancelSweep = undefined;
      // The oldest lie at the bottom, so the unused ones are the first.
      for (const connection of this.#idle.splice(0, this.#unused)) this.#dismiss(connection);
      if (this.#idle.length > 0) this.#scheduleSweep();
    });
  }
}

interface Waiting {
  readonly exchange: Exchange;
  readonly resolve: (response: Promise<Response>) => void;
  readonly reject: (cause: MeshError) => void;
}
