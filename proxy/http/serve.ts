import type { Socket } from "node:net";
import type { CancelTimer } from "../../common/base/clock.ts";
import { sharedProtocol } from "../net/mesh-tls.ts";
import { serveHttp1 } from "./http1/server.ts";
import { clientPreface } from "./http2/frame.ts";
import { serveHttp2 } from "./http2/server.ts";
import type { Service } from "./layer.ts";
import type { HttpServerConnection, HttpServerOptions } from "./server-connection.ts";

/** Octets that tell the preface of HTTP/2 from every method of HTTP/1.1: no method begins with PRI. */
const tellingOctets = 3;

/** What ALPN agreed on; false when there was no TLS or the client offered nothing. */
export type AlpnProtocol = string | false | null | undefined;

/**
 * Speaks HTTP on an accepted socket (opened with allowHalfOpen) until it closes: the version that ALPN agreed on, else HTTP/2 for who
 * begins with its preface (RFC 9113 3.3, prior knowledge) and HTTP/1.1 for everybody else.
 */
export function serveHttp(
  socket: Socket,
  options: HttpServerOptions,
  service: Service,
  alpn?: AlpnProtocol,
): HttpServerConnection {
  if (alpn === sharedProtocol) return serveHttp2(socket, options, service, true);
  if (alpn === "h2") return serveHttp2(socket, options, service);
  if (alpn === "http/1.1") return serveHttp1(socket, options, service);
  return new UndecidedConnection(socket, options, service);
}

/** A connection whose first bytes are awaited; then it stands for the one that speaks. */
class UndecidedConnection implements HttpServerConnection {
  readonly #socket: Socket;
  readonly #options: HttpServerOptions;
  readonly #service: Service;
  #decided: HttpServerConnection | undefined = undefined;
  #onClose: (() => void) | undefined = undefined;
  #first: Buffer | undefined;
  #cancelTimer: CancelTimer;

  constructor(socket: Socket, options: HttpServerOptions, service: Service) {
    this.#socket = socket;
    this.#options = options;
    this.#service = service;
    this.#first = options.firstBytes;
    const { clock, settings } = options;
    this.#cancelTimer = clock.after(settings.keepAliveTimeoutMs, () => socket.destroy());
    socket.on("data", this.#read);
    socket.on("error", ignore);
    socket.on("end", this.#ended);
    socket.on("close", this.#closed);
    if (this.#first !== undefined && this.#first.length > 0) this.#judge(this.#first);
  }

  get activeExchanges(): number {
    return this.#decided?.activeExchanges ?? 0;
  }

  get onClose(): (() => void) | undefined {
    return this.#onClose;
  }

  set onClose(run: (() => void) | undefined) {
    this.#onClose = run;
    if (this.#decided !== undefined) this.#decided.onClose = run;
  }

  drain(): void {
    if (this.#decided !== undefined) this.#decided.drain();
    else this.#socket.end();
  }

  destroy(): void {
    if (this.#decided !== undefined) this.#decided.destroy();
    else {
      this.#socket.destroy();
      this.#closed();
    }
  }

  #read = (chunk: Buffer): void => {
    const first = this.#first;
    this.#judge(first === undefined || first.length === 0 ? chunk : Buffer.concat([first, chunk]));
  };

  #judge(first: Buffer): void {
    const octets = Math.min(first.length, tellingOctets);
    const mayBeHttp2 = first.compare(clientPreface, 0, octets, 0, octets) === 0;
    if (mayBeHttp2 && octets < tellingOctets) {
      this.#first = first;
      this.#cancelTimer();
      const { clock, settings } = this.#options;
      this.#cancelTimer = clock.after(settings.headerTimeoutMs, () => this.#socket.destroy());
      return;
    }
    this.#first = undefined;
    this.#release();
    const options = { ...this.#options, firstBytes: first };
    const serve = mayBeHttp2 ? serveHttp2 : serveHttp1;
    this.#decided = serve(this.#socket, options, this.#service);
    this.#decided.onClose = this.#onClose;
  }

  #ended = (): void => {
    this.#socket.end();
  };

  #closed = (): void => {
    if (this.#decided !== undefined) return;
    this.#release();
    this.#onClose?.();
    this.#onClose = undefined;
  };

  #release(): void {
    this.#cancelTimer();
    this.#socket.off("data", this.#read);
    this.#socket.off("end", this.#ended);
    this.#socket.off("close", this.#closed);
  }
}

function ignore(): void {}
