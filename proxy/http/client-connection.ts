import type { Exchange, Response } from "./exchange.ts";

/** One connection to an endpoint, whatever protocol it speaks. Made by a codec (`http1/client.ts`), kept by `cluster/pool.ts`. */
export interface ClientConnection {
  /** Exchanges that it can still take now; 0 while an HTTP/1.1 exchange is under way or once it may not be reused. */
  readonly capacity: number;
  /** True when it carries several exchanges at a time (HTTP/2). */
  readonly isMultiplexed: boolean;
  /** True once it has carried an exchange: a close without a single response byte may then be the idle-close race. */
  readonly isReused: boolean;
  readonly localAddress: string;
  /**
   * Sends the request as it stands and answers with the response head; the body follows through `Response.body`.
   * Interim responses go to `exchange.inform`. Sets `exchange.whenCancelled` while it waits.
   * Rejects with MeshError: `reset_before_request` when certainly nothing reached the application (or RFC 9110 9.2.2 allows to
   * assume so: idempotent method, reused connection, no response byte, request body untouched or none), else `upstream_reset`,
   * `upstream_protocol_error`, or the cancel cause.
   */
  send(exchange: Exchange): Promise<Response>;
  /** Pool's: called when capacity rises from 0 to something, with the connection ready for the next exchange. */
  onAvailable: (() => void) | undefined;
  /**
   * Pool's, on multiplexed connections: called once for each `send`, when its exchange is over or was refused, before `onAvailable`; not
   * after `onClose`, which ends all.
   */
  onEnded: (() => void) | undefined;
  /** Pool's: called once when the connection can never be used again. */
  onClose: (() => void) | undefined;
  /** Ends it: at once when idle, else after the exchanges under way. */
  close(): void;
  /** Ends it now. */
  destroy(): void;
}
