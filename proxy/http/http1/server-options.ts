import type { Clock } from "../../../common/base/clock.ts";
import type { DownstreamConnection, Exchange } from "../exchange.ts";
import type { HttpServerSettings } from "../http-server.ts";

export interface Http1ServerOptions {
  readonly settings: HttpServerSettings;
  readonly clock: Clock;
  readonly downstream: DownstreamConnection;
  /** Hears of requests that never became one: 400, 408, 414, 431 … before the service was asked. The exchange is finished. */
  readonly onRejected?: ((exchange: Exchange) => void) | undefined;
  /** Bytes that a sniffer has already taken from the socket. */
  readonly firstBytes?: Buffer | undefined;
}

/** One downstream HTTP/1.1 connection, from accept to close. */
export interface Http1ServerConnection {
  /** 1 while a request is under way, else 0. */
  readonly activeExchanges: number;
  /** Called once when the socket is closed. */
  onClose: (() => void) | undefined;
  /**
   * No further requests: the one under way is answered with `Connection: close`; an idle connection ends at once. When the head of the
   * answer is out already, one more request may come within a second, because it can't be told from one that crosses our FIN.
   */
  drain(): void;
  /** Ends it now; a request under way is cancelled. */
  destroy(): void;
}
