import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Clock } from "../../common/base/clock.ts";
import type { FilterChain, HttpFilterChain, Listener, TcpProxy } from "../../common/model/listener.ts";
import type { DownstreamConnection, Exchange } from "../http/exchange.ts";
import type { HttpServerSettings } from "../http/http-server.ts";
import type { Http1ServerConnection } from "../http/http1/server.ts";
import { serveHttp1 } from "../http/http1/server.ts";
import type { Service } from "../http/layer.ts";
import { chooseChain } from "../net/choose-chain.ts";
import type { Listener as Port } from "../net/listen.ts";
import { listen } from "../net/listen.ts";
import { sniff } from "../net/sniff.ts";
import { splice } from "../net/splice.ts";
import { TlsServer } from "../net/tls-server.ts";

export interface OpenListenerParts {
  readonly settings: HttpServerSettings;
  readonly clock: Clock;
  /** ms after which the files of certificates are looked at again. */
  readonly certificateRefreshMs: number;
  /** Hears of what a client sent that was no request. */
  readonly onRejected: (exchange: Exchange) => void;
  /** Hears of certificates that can't be read any more; those before stay in use. */
  readonly onCertificateProblem: (listener: string, why: string) => void;
  /** Opens a connection for one whose bytes are passed on; rejects with MeshError. */
  readonly openTcp: (proxy: TcpProxy) => Promise<Socket>;
}

/** Makes what answers the requests of a chain. */
export type ServiceFor = (listener: Listener, chain: HttpFilterChain) => Service;

/** A chain as its connections hold it: config may give it another service at any time. */
interface LiveChain {
  chain: FilterChain;
  service: Service | undefined;
  tls: TlsServer | undefined;
}

/** A port that is open, the connections it accepted, and what answers them. */
export class OpenListener {
  readonly #parts: OpenListenerParts;
  #port: Port | undefined = undefined;
  readonly #connections = new Map<DownstreamConnection, HttpConnection>();
  /** Sockets whose first bytes or handshake are awaited, and those whose bytes are passed on. */
  readonly #others = new Set<Socket>();
  #listener: Listener;
  #chains: readonly LiveChain[] = [];
  #isDraining = false;
  #drained: Promise<void> | undefined = undefined;
  #whenEmpty: (() => void) | undefined = undefined;

  constructor(listener: Listener, parts: OpenListenerParts) {
    this.#listener = listener;
    this.#parts = parts;
  }

  get listener(): Listener {
    return this.#listener;
  }

  /** Connections open now. */
  get connections(): number {
    return this.#connections.size + this.#others.size;
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

  /**
   * Takes config for its address; to be called before `open` too. Connections stay, and their next requests follow it; those of a chain
   * that is gone finish the request under way. Rejects, with nothing changed, with an Error when a certificate can't be used.
   */
  async configure(listener: Listener, serviceFor: ServiceFor): Promise<void> {
    const before = new Map(this.#chains.map((live) => [live.chain.name, live]));
    const made: TlsServer[] = [];
    const next: { live: LiveChain; chain: FilterChain; tls: TlsServer | undefined }[] = [];
    try {
      for (const chain of listener.filterChains) {
        const known = before.get(chain.name);
        const live = known ?? { chain, service: undefined, tls: undefined };
        const isSame = JSON.stringify(known?.tls?.tls) === JSON.stringify(chain.tls);
        const tls = isSame ? known?.tls : chain.tls && (await this.#loadTls(live, chain));
        if (tls !== undefined && tls !== known?.tls) made.push(tls);
        next.push({ live, chain, tls });
      }
    } catch (cause) {
      for (const tls of made) tls.stop();
      throw cause;
    }
    for (const { live, chain, tls } of next) {
      if (live.tls !== tls) live.tls?.stop();
      live.chain = chain;
      live.tls = tls;
      live.service = chain.http && serviceFor(listener, chain);
      before.delete(chain.name);
    }
    this.#listener = listener;
    this.#chains = next.map(({ live }) => live);
    for (const gone of before.values()) gone.tls?.stop();
    if (before.size > 0) {
      for (const { live, http } of this.#connections.values())
        if (before.get(live.chain.name) === live) http.drain();
    }
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
    this.#destroyAll();
    for (const { tls } of this.#chains) tls?.stop();
  }

  async #drain(idleGraceMs: number, limitMs: number): Promise<void> {
    void this.#port?.close();
    this.#isDraining = true;
    for (const { http } of this.#connections.values()) if (http.activeExchanges > 0) http.drain();
    const { clock } = this.#parts;
    const timers = [
      clock.after(idleGraceMs, () => {
        for (const { http } of this.#connections.values()) http.drain();
      }),
      clock.after(limitMs, () => this.#destroyAll()),
    ];
    if (this.connections > 0) {
      await new Promise<void>((resolve) => {
        this.#whenEmpty = resolve;
      });
    }
    for (const cancel of timers) cancel();
    for (const { tls } of this.#chains) tls?.stop();
  }

  #destroyAll(): void {
    for (const { http } of this.#connections.values()) http.destroy();
    for (const socket of this.#others) socket.destroy();
  }

  async #loadTls(live: LiveChain, chain: FilterChain): Promise<TlsServer> {
    const { clock, certificateRefreshMs, settings, onCertificateProblem } = this.#parts;
    return TlsServer.load(chain.tls!, {
      clock,
      refreshMs: certificateRefreshMs,
      handshakeTimeoutMs: settings.headerTimeoutMs,
      onProblem: (why) => onCertificateProblem(this.#listener.name, why),
      onSecured: (raw, socket) => {
        this.#others.delete(raw);
        this.#use(socket, live, socket);
      },
    });
  }

  #accept(socket: Socket): void {
    const [only, ...more] = this.#chains;
    // The common case costs nothing: one chain that takes whatever comes.
    if (more.length === 0 && only?.tls === undefined && (only?.chain.serverNames ?? []).length === 0) {
      if (only !== undefined) this.#use(socket, only, undefined);
      return;
    }
    this.#keep(socket);
    void this.#acceptByServerName(socket);
  }

  async #acceptByServerName(socket: Socket): Promise<void> {
    const { clock, settings } = this.#parts;
    const first = await sniff(socket, clock, settings.headerTimeoutMs);
    if (first === undefined) return;
    const name = first.kind === "tls" ? first.serverName : undefined;
    const chosen = chooseChain(
      this.#chains.map((live) => ({ live, serverNames: live.chain.serverNames ?? [] })),
      name,
    )?.live;
    // Nothing can be said to who can't be understood, as in Envoy.
    const fits = chosen !== undefined && (chosen.tls === undefined || first.kind === "tls");
    if (!fits || first.kind === "malformed") socket.destroy();
    else if (chosen.tls !== undefined) chosen.tls.accept(socket);
    else {
      this.#others.delete(socket);
      this.#use(socket, chosen, undefined);
    }
  }

  #use(socket: Socket, live: LiveChain, secured: TLSSocket | undefined): void {
    const { tcp } = live.chain;
    if (tcp === undefined) this.#serve(socket, live, secured);
    else void this.#passOn(socket, tcp);
  }

  #serve(socket: Socket, live: LiveChain, secured: TLSSocket | undefined): void {
    const serverName = typeof secured?.servername === "string" ? secured.servername : undefined;
    const downstream: DownstreamConnection = {
      remote: { host: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 },
      local: { host: socket.localAddress ?? "", port: socket.localPort ?? 0 },
      listener: this.#listener.name,
      scheme: secured === undefined ? "http" : "https",
      ...(serverName === undefined ? {} : { serverName }),
    };
    const { settings, clock, onRejected } = this.#parts;
    const answer: Service = (exchange) => {
      if (this.#isDraining) http.drain();
      return live.service!(exchange);
    };
    const http: Http1ServerConnection = serveHttp1(
      socket,
      { settings, clock, downstream, onRejected },
      answer,
    );
    this.#connections.set(downstream, { http, live });
    http.onClose = () => {
      this.#connections.delete(downstream);
      this.#noteGone();
    };
  }

  async #passOn(socket: Socket, tcp: TcpProxy): Promise<void> {
    this.#keep(socket);
    socket.pause();
    const upstream = await this.#parts.openTcp(tcp).catch(() => undefined);
    if (upstream === undefined || socket.destroyed) {
      upstream?.destroy();
      socket.destroy();
      return;
    }
    splice(socket, upstream, () => {});
  }

  #keep(socket: Socket): void {
    if (this.#others.has(socket)) return;
    this.#others.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => {
      if (this.#others.delete(socket)) this.#noteGone();
    });
  }

  #noteGone(): void {
    if (this.connections === 0) this.#whenEmpty?.();
  }
}

interface HttpConnection {
  readonly http: Http1ServerConnection;
  readonly live: LiveChain;
}
