import type { CancelTimer, Clock } from "../../common/base/clock.ts";
import type { MeshError } from "../errors.ts";
import { meshError, toMeshError } from "../errors.ts";
import type { ClientConnection } from "../http/client-connection.ts";
import type { Exchange, Response } from "../http/exchange.ts";
import { ClusterLoad } from "./load.ts";
import type { PoolParts, PoolSettings } from "./pool.ts";
import { Pool } from "./pool.ts";
import type { RequestPool } from "./request-pool.ts";

/** Exchanges that a connection is taken to have room for until it says otherwise. */
const expectedCapacity = 100;
/** ms that a connection without exchanges is kept; HTTP/2 servers say when they want to end one, so nothing is gained by being first. */
const idleTimeoutMs = 300_000;

/**
 * The connections to one endpoint, for a codec that carries many exchanges at a time: as few connections as have room for what is under
 * way. A server that turns out to speak only HTTP/1.1 gets a pool of the other kind.
 */
export class MultiplexPool implements RequestPool {
  /** Connections that are open now, and since the beginning. */
  open = 0;
  opened = 0;
  connectFailures = 0;

  readonly #parts: PoolParts;
  readonly #protocol: "http2" | "shared";
  readonly #settings: PoolSettings;
  readonly #clock: Clock;
  readonly #load: ClusterLoad;
  readonly #connections: Held[] = [];
  readonly #waiting: Waiting[] = [];
  #active = 0;
  /** Exchanges on connections. */
  #lent = 0;
  #opening = 0;
  #isDraining = false;
  #isStopped = false;
  #cancelSweep: CancelTimer | undefined = undefined;
  /** Serves everything once a server has shown that it knows HTTP/1.1 only. */
  #fallback: Pool | undefined = undefined;

  /** `shared`: for requests of HTTP/1.1, each of which counts as one connection where connections are limited. */
  constructor(parts: PoolParts, protocol: "http2" | "shared" = "http2") {
    this.#parts = parts;
    this.#protocol = protocol;
    this.#settings = parts.settings;
    this.#clock = parts.clock;
    this.#load = parts.load ?? new ClusterLoad();
  }

  /** Exchanges under way, and requests waiting for a connection. */
  get active(): number {
    return this.#active + (this.#fallback?.active ?? 0);
  }

  set active(count: number) {
    this.#active = count - (this.#fallback?.active ?? 0);
  }

  get idle(): number {
    return this.#connections.filter(({ active }) => active === 0).length + (this.#fallback?.idle ?? 0);
  }

  get waiting(): number {
    return this.#waiting.length + (this.#fallback?.waiting ?? 0);
  }

  /** As `Pool.send`. */
  send(exchange: Exchange): Promise<Response> {
    if (this.#fallback !== undefined) return this.#fallback.send(exchange);
    const { maxRequests } = this.#load.limits;
    if (maxRequests !== undefined && this.#load.requests >= maxRequests)
      return Promise.reject(meshError("upstream_overflow", "max_requests"));
    const held = this.#waiting.length === 0 ? this.#free() : undefined;
    if (held === undefined) return this.#wait(exchange);
    this.#begin();
    return this.#lend(held, exchange);
  }

  /** The endpoint is gone: connections end with their last exchange, waiting requests are still served. */
  drain(): void {
    this.#isDraining = true;
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
    this.#fallback?.drain();
    for (const { connection } of [...this.#connections]) connection.close();
  }

  /** Ends everything now; waiting requests fail with `draining`. */
  stop(): void {
    this.#isStopped = true;
    this.drain();
    this.#fallback?.stop();
    for (const waiting of this.#takeWaiting(this.#waiting.length))
      this.#refuse(waiting, meshError("draining", "pool_stopped"));
    for (const { connection } of [...this.#connections]) connection.destroy();
  }

  #begin(): void {
    this.#active++;
    this.#load.requests++;
  }

  #end(count: number): void {
    this.#active -= count;
    this.#load.requests -= count;
  }

  /** Whether one more request may be under way; the cluster's limit leaves every endpoint one, as `#mayOpen` does. */
  #mayLend(): boolean {
    const { maxConnections } = this.#load.limits;
    if (this.#protocol === "http2" || maxConnections === undefined) return true;
    return this.#lent === 0 || this.#load.connections < maxConnections;
  }

  /** What the limit of connections counts: them, or where they are shared the requests that would else have one each. */
  #count(connections: number, requests: number): void {
    this.#lent += requests;
    this.#load.connections += this.#protocol === "http2" ? connections : requests;
  }

  /** The first with room: the others may become idle, and end. */
  #free(): Held | undefined {
    if (!this.#mayLend()) return undefined;
    const { maxConcurrentStreams } = this.#load.limits;
    for (const held of this.#connections) {
      if (
        held.connection.capacity > 0 &&
        (maxConcurrentStreams === undefined || held.active < maxConcurrentStreams)
      )
        return held;
    }
    return undefined;
  }

  #lend(held: Held, exchange: Exchange): Promise<Response> {
    held.active++;
    held.requests++;
    this.#count(0, 1);
    const answered = held.connection.send(exchange);
    const { maxRequestsPerConnection } = this.#load.limits;
    if (maxRequestsPerConnection !== undefined && held.requests >= maxRequestsPerConnection)
      held.connection.close();
    return answered;
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
    if (!this.#mayLend()) return;
    const capacity = Math.min(this.#load.limits.maxConcurrentStreams ?? expectedCapacity, expectedCapacity);
    while (this.#opening * capacity < this.#waiting.length && this.#mayOpen()) {
      this.#opening++;
      this.#count(1, 0);
      this.#parts.connect(this.#protocol).then(this.#onOpened, this.#onConnectFailed);
    }
  }

  #mayOpen(): boolean {
    const own = this.open + this.#opening;
    const { maxConnections } = this.#load.limits;
    if (maxConnections === undefined || this.#protocol === "shared")
      return own < this.#settings.maxConnections;
    return own === 0 || this.#load.connections < maxConnections;
  }

  readonly #onOpened = (connection: ClientConnection): void => {
    if (this.#isStopped || connection.capacity === 0) {
      connection.destroy();
      this.#onConnectFailed(meshError("connect_failed", "closed_at_once"));
      return;
    }
    this.#opening--;
    if (!connection.isMultiplexed) {
      this.#count(-1, 0);
      this.#fallBack(connection);
      return;
    }
    this.opened++;
    this.open++;
    const held: Held = {
      connection,
      active: 0,
      requests: 0,
      idleSince: this.#clock.monotonic(),
      cancelExpiry: this.#expire(connection),
    };
    this.#connections.push(held);
    connection.onEnded = () => this.#ended(held);
    connection.onAvailable = () => this.#serveWaiting();
    connection.onClose = () => this.#closed(held);
    this.#serveWaiting();
    this.#watchIdle();
    if (this.#isDraining && this.#waiting.length === 0) connection.close();
  };

  readonly #onConnectFailed = (thrown: unknown): void => {
    this.#opening--;
    this.#count(-1, 0);
    this.connectFailures++;
    const cause = toMeshError(thrown);
    // One failure answers all that would have gone there: they would only wait for the same refusal.
    const isHopeless = this.open === 0 && this.#opening === 0;
    for (const waiting of this.#takeWaiting(isHopeless ? this.#waiting.length : 1))
      this.#refuse(waiting, cause);
    this.#openForWaiting();
  };

  /** The server speaks HTTP/1.1: what waits, and what comes, goes there. */
  #fallBack(connection: ClientConnection): void {
    const waiting = this.#takeWaiting(this.#waiting.length);
    // Kept for the next request it would be in no pool: not counted, not aged, and nobody would see the server close it.
    if (waiting.length === 0) connection.close();
    let first = waiting.length === 0 ? undefined : connection;
    this.#fallback ??= new Pool({
      ...this.#parts,
      load: this.#load,
      connect: () => {
        const made = first;
        first = undefined;
        return made === undefined ? this.#parts.connect("http1") : Promise.resolve(made);
      },
    });
    if (this.#isDraining) this.#fallback.drain();
    for (const { exchange, resolve } of waiting) {
      this.#end(1);
      exchange.whenCancelled(undefined);
      resolve(this.#fallback.send(exchange));
    }
  }

  #ended(held: Held): void {
    held.active--;
    this.#count(0, -1);
    this.#end(1);
    if (held.active === 0) {
      held.idleSince = this.#clock.monotonic();
      this.#watchIdle();
    }
    if (this.#waiting.length > 0) this.#serveWaiting();
  }

  #serveWaiting(): void {
    while (this.#waiting.length > 0) {
      const held = this.#free();
      if (held === undefined) {
        this.#openForWaiting();
        return;
      }
      const [waiting] = this.#takeWaiting(1);
      waiting!.exchange.whenCancelled(undefined);
      waiting!.resolve(this.#lend(held, waiting!.exchange));
    }
  }

  #takeWaiting(count: number): readonly Waiting[] {
    const taken = this.#waiting.splice(0, count);
    this.#load.pending -= taken.length;
    return taken;
  }

  #refuse(waiting: Waiting, cause: MeshError): void {
    this.#end(1);
    waiting.exchange.whenCancelled(undefined);
    waiting.reject(cause);
  }

  #closed(held: Held): void {
    held.cancelExpiry?.();
    this.#end(held.active);
    this.open--;
    this.#count(-1, -held.active);
    this.#connections.splice(this.#connections.indexOf(held), 1);
    this.#openForWaiting();
  }

  #expire(connection: ClientConnection): CancelTimer | undefined {
    const ms = this.#load.limits.maxConnectionDurationMs;
    return ms === undefined ? undefined : this.#clock.after(ms, () => connection.close());
  }

  #watchIdle(): void {
    if (this.#cancelSweep !== undefined || this.#isDraining) return;
    const limitMs = this.#load.limits.idleTimeoutMs ?? idleTimeoutMs;
    this.#cancelSweep = this.#clock.after(limitMs, () => {
      this.#cancelSweep = undefined;
      const now = this.#clock.monotonic();
      for (const { connection, active, idleSince } of [...this.#connections]) {
        if (active === 0 && now - idleSince >= limitMs / 2) connection.close();
      }
      if (this.#connections.some(({ active }) => active === 0)) this.#watchIdle();
    });
  }
}

/** What is remembered of an open connection. */
interface Held {
  readonly connection: ClientConnection;
  active: number;
  requests: number;
  /** Monotonic ms. */
  idleSince: number;
  readonly cancelExpiry: CancelTimer | undefined;
}

interface Waiting {
  readonly exchange: Exchange;
  readonly resolve: (response: Promise<Response>) => void;
  readonly reject: (cause: MeshError) => void;
}
