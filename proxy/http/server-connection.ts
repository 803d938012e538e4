import type { Clock } from "../../common/base/clock.ts";
import type { DownstreamConnection, Exchange } from "./exchange.ts";
import type { HttpServerSettings } from "./http-server.ts";

/** What the server side of every codec is given. */
export interface HttpServerOptions {
  readonly settings: HttpServerSettings;
  readonly clock: Clock;
  readonly downstream: DownstreamConnection;
  /** Hears of requests that never became one: 400, 408, 414, 431 … before the service was asked. The exchange is finished. */
  readonly onRejected?: ((exchange: Exchange) => void) | undefined;
  /** Bytes that a sniffer has already taken from the socket. */
  readonly firstBytes?: Buffer | undefined;
}

/** One downstream connection, from accept to close, whatever version of HTTP it speaks. */
export interface HttpServerConnection {
  /** Requests under way; with HTTP/1.1 at most one. */
  readonly activeExchanges: number;
  /** Called once when the socket is closed. */
  onClose: (() => void) | undefined;
  /**
   * No further requests. HTTP/1.1: the one under way is answered with `Connection: close`; an idle connection ends at once; when the head
   * of the answer is out already, one more request may come within a second, because it can't be told from one that crosses our FIN.
   * HTTP/2: GOAWAY, in two steps so that no request is lost on the way.
   */
  drain(): void;
  /** Ends it now; requests under way are cancelled. */
  destroy(): void;
}
