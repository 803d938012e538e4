import type { Socket } from "node:net";
import type { Clock } from "../common/base/clock.ts";
import type { Listener } from "../common/model/listener.ts";
import type { DownstreamConnection, Exchange } from "./http/exchange.ts";
import type { HttpServerSettings } from "./http/http-server.ts";
import type { Http1ServerConnection } from "./http/http1/server.ts";
import { serveHttp1 } from "./http/http1/server.ts";
import type { Service } from "./http/layer.ts";
import type { Listener as Port } from "./net/listen.ts";
import { listen } from "./net/listen.ts";

export interface OpenListenerParts {
  readonly settings: HttpServerSettings;
  readonly clock: Clock;
  /** Hears of what a client sent that was no request. */
  readonly onRejected: (exchange: Exchange) => void;
}

/** A port that is open, the connections it accepted, and the service that answers them; config may replace the service at any time. */
export class OpenListener {
  readonly #parts: OpenListenerParts;
  #port: Port | undefined = undefined;
  readonly #connections = new Map<DownstreamConnection, Http1ServerConnection>();
  #listener: Listener;
  #service: Service;
  #drained: Promise<void> | undefined = undefined;
  #whenEmpty: (() => void) | undefined = undefined;

  constructor(listener: Listener, service: Service, parts: OpenListenerParts) {
    this.#listener = listener;
    this.#service = service;
    this.#parts = parts;
  }

  get listener(): Listener {
    return this.#listener;
  }

  /** Connections open now. */
  get connections(): number {
    return this.#connections.size;
  }

  /** The port that is open, which config may have left to the system by saying 0; 0 before it is. */
  get port(): number {
    return this.#port?.address.port ?? 0;
  }

  /** Opens the port; rejects with an Error that says where, why and what to do. */
  async open(): Promise<void> {
    const { address: host, port } = this.#listener;
    this.#port = await listen({ host, port }, (socket) => this.#accept(socket));
  }

  /** New config for the same address; connections stay and their next requests follow it. */
  update(listener: Listener, service: Service): void {
    this.#listener = listener;
    this.#service = service;
  }

  /**
   * Closes the port and lets its connections finish: every further answer says `Connection: close`; connections without a request get
   * `idleGraceMs` for one that may be on its way, because ours would cross it. What is left after `limitMs` is ended. Settles when all are gone.
   */
  drain(idleGraceMs: number, limitMs: number): Promise<void> {
    this.#drained ??= this.#drain(idleGraceMs, limitMs);
    return this.#drained;
  }

  /** Ends everything now. */
  stop(): void {
    void this.#port?.close();
    for (const connection of this.#connections.values()) connection.destroy();
  }

  async #drain(idleGraceMs: number, limitMs: number): Promise<void> {
    void this.#port?.close();
    const service = this.#service;
    this.#service = (exchange) => {
      this.#connections.get(exchange.downstream)?.drain();
      return service(exchange);
    };
    for (const connection of this.#connections.values())
      if (connection.activeExchanges > 0) connection.drain();
    const { clock } = this.#parts;
    const timers = [
      clock.after(idleGraceMs, () => {
        for (const connection of this.#connections.values()) connection.drain();
      }),
      clock.after(limitMs, () => {
        for (const connection of this.#connections.values()) connection.destroy();
      }),
    ];
    if (this.#connections.size > 0) {
      await new Promise<void>((resolve) => {
        this.#whenEmpty = resolve;
      });
    }
    for (const cancel of timers) cancel();
  }

  #accept(socket: Socket): void {
    const downstream: DownstreamConnection = {
      remote: { host: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 },
      local: { host: socket.localAddress ?? "", port: socket.localPort ?? 0 },
      listener: this.#listener.name,
      scheme: "http",
    };
    const { settings, clock, onRejected } = this.#parts;
    const connection = serveHttp1(socket, { settings, clock, downstream, onRejected }, this.#answer);
    this.#connections.set(downstream, connection);
    connection.onClose = () => {
      this.#connections.delete(downstream);
      if (this.#connections.size === 0) this.#whenEmpty?.();
    };
  }

  readonly #answer: Service = (exchange) => this.#service(exchange);
}
