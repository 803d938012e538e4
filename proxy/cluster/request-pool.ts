import type { UpstreamProtocol } from "../../common/model/cluster.ts";
import type { Exchange, Response } from "../http/exchange.ts";
import type { ClusterLoad } from "./load.ts";
import { MultiplexPool } from "./multiplex-pool.ts";
import type { PoolParts } from "./pool.ts";
import { Pool } from "./pool.ts";

/** The connections to one endpoint, whatever they speak. */
export interface RequestPool {
  /** Requests at this endpoint, waiting ones included, and connections whose bytes are passed on (counted by who passes them). */
  active: number;
  /** Connections that are open now, and since the beginning. */
  readonly open: number;
  readonly opened: number;
  readonly connectFailures: number;
  /** Connections without a request. */
  readonly idle: number;
  /** Requests that wait for a connection. */
  readonly waiting: number;
  /**
   * Sends on a connection that is there, or on the first that is free or open. Rejects with `upstream_overflow` when too many wait or are
   * under way, with a `connect_*` error when none could be opened, with the cancel cause when the request is given up, else as
   * `ClientConnection.send`.
   */
  send(exchange: Exchange): Promise<Response>;
  /** The endpoint is gone: idle connections close, those at work close after their last exchange, waiting requests are still served. */
  drain(): void;
  /** Ends everything now; waiting requests fail with `draining`. */
  stop(): void;
}

/** `shared`: HTTP/1.1 between two sidecars of the mesh. */
export function createPool(protocol: UpstreamProtocol | "shared", parts: PoolParts): RequestPool {
  switch (protocol) {
    case "http1":
      return new Pool(parts);
    case "http2":
      return new MultiplexPool(parts);
    case "client":
      return new TwoPools(parts, "http2", (exchange) => exchange.protocol === "HTTP/2");
    case "shared":
      return new TwoPools(parts, "shared", (exchange) => maySend(exchange, parts.load));
  }
}

/** What becomes a tunnel of bytes has a connection of its own. */
function maySend({ upgrade }: Exchange, load: ClusterLoad | undefined): boolean {
  return upgrade === undefined && load?.limits.sharesConnections !== false;
}

/** Two ways to speak to one endpoint, chosen for each request. */
class TwoPools implements RequestPool {
  readonly #http1: Pool;
  readonly #http2: MultiplexPool;
  readonly #isMultiplexed: (exchange: Exchange) => boolean;

  constructor(
    parts: PoolParts,
    protocol: "http2" | "shared",
    isMultiplexed: (exchange: Exchange) => boolean,
  ) {
    this.#http1 = new Pool(parts);
    this.#http2 = new MultiplexPool(parts, protocol);
    this.#isMultiplexed = isMultiplexed;
  }

  get active(): number {
    return this.#http1.active + this.#http2.active;
  }

  set active(count: number) {
    this.#http1.active = count - this.#http2.active;
  }

  get open(): number {
    return this.#http1.open + this.#http2.open;
  }

  get opened(): number {
    return this.#http1.opened + this.#http2.opened;
  }

  get connectFailures(): number {
    return this.#http1.connectFailures + this.#http2.connectFailures;
  }

  get idle(): number {
    return this.#http1.idle + this.#http2.idle;
  }

  get waiting(): number {
    return this.#http1.waiting + this.#http2.waiting;
  }

  send(exchange: Exchange): Promise<Response> {
    return this.#isMultiplexed(exchange) ? this.#http2.send(exchange) : this.#http1.send(exchange);
  }

  drain(): void {
    this.#http1.drain();
    this.#http2.drain();
  }

  stop(): void {
    this.#http1.stop();
    this.#http2.stop();
  }
}
