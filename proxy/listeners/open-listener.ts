import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Clock } from "../../common/base/clock.ts";
import type { ChainMatch, FilterChain, HttpFilterChain, Listener } from "../../common/model/listener.ts";
import type { SocketAddress } from "../../common/model/node.ts";
import { errorCatalogue } from "../errors.ts";
import { atEdge } from "../http/edge-settings.ts";
import type { DownstreamConnection, Exchange } from "../http/exchange.ts";
import type { HttpServerSettings } from "../http/http-server.ts";
import type { Service } from "../http/layer.ts";
import { serveHttp } from "../http/serve.ts";
import type { HttpServerConnection } from "../http/server-connection.ts";
import { ChainTable } from "../net/choose-chain.ts";
import { plainAddress } from "../net/cidr.ts";
import { clientCertificateOf } from "../net/client-certificate.ts";
import type { FirstBytes } from "../net/client-hello.ts";
import { readFirstLine } from "../net/first-line.ts";
import type { IdentitySource } from "../net/identity-source.ts";
import type { Listener as Port } from "../net/listen.ts";
import { listen } from "../net/listen.ts";
import type { HandshakeCounts } from "../net/mesh-tls.ts";
import { peerOf } from "../net/mesh-tls.ts";
import { takeProxyHeader } from "../net/proxy-protocol.ts";
import { Sniffer } from "../net/sniff.ts";
import { TcpConnection } from "../net/tcp-connection.ts";
import { ChainTls } from "./chain-tls.ts";
import type { OpenPort } from "./open-port.ts";
import type { PassedConnectionParts } from "./passed-connection.ts";
import { PassedConnection } from "./passed-connection.ts";
import { RecentlySeen } from "./recently-seen.ts";

/** What ends the mesh's TLS. */
export interface MeshTlsParts {
  readonly identity: IdentitySource;
  readonly counts: HandshakeCounts;
  /** Hears of clients that were not let in, `client` being `host:port`. */
  readonly onRefused: (listener: string, client: string, why: string) => void;
}

export interface OpenListenerParts extends PassedConnectionParts {
  /** Absent: this proxy has no identity, and chains that ask for it refuse every connection. */
  readonly mesh?: MeshTlsParts | undefined;
  readonly settings: HttpServerSettings;
  readonly clock: Clock;
  /** Who may use the connections of a chain whose bytes are passed on; undefined when all may. */
  readonly judgeFor?: (chain: FilterChain) => JudgeConnection | undefined;
  /** Where a redirected connection was meant to go; undefined when it was not redirected. */
  readonly originalDestination: (socket: Socket) => SocketAddress | undefined;
  /** The listener that has an address, or its port on every address; for connections that were redirected to another. */
  readonly listenerAt: (address: SocketAddress) => TakesOver | undefined;
  /** ms after which the files of certificates are looked at again. */
  readonly certificateRefreshMs: number;
  /** Where the proxy's credentials are. */
  readonly secretsDirectory?: string | undefined;
  /** Hears of connections that said too little in time to tell what they speak. */
  readonly onDetectionTimeout?: (listener: string) => void;
  /** Hears of what a client sent that was no request. */
  readonly onRejected: (exchange: Exchange) => void;
  /** Hears of certificates that can't be read; those before stay in use. */
  readonly onCertificateProblem: (listener: string, why: string) => void;
}

/** A listener that can be given a connection which another one accepted. */
export interface TakesOver {
  takeOver(socket: Socket, destination: SocketAddress): void;
}

/** Makes what answers the requests of a chain. */
export type ServiceFor = (listener: Listener, chain: HttpFilterChain) => Service;

/** Resolves when a connection may be used; rejects with MeshError. */
export type JudgeConnection = (connection: TcpConnection) => Promise<void>;

/** A chain as its connections hold it: config may give it another service at any time. */
interface LiveChain {
  chain: FilterChain;
  service: Service | undefined;
  judge: JudgeConnection | undefined;
  settings: HttpServerSettings;
  readonly tls: ChainTls;
  /** Destinations of which the last connection that was passed on began with the client's bytes. */
  readonly clientSpeaksFirst: RecentlySeen;
}

/** A chain in the table that connections are judged by; the table is made anew with each config. */
interface ChosenChain extends ChainMatch {
  readonly live: LiveChain;
  readonly tls?: unknown;
}

/** A connection as it came in. */
interface Arrival {
  readonly socket: Socket;
  readonly destination: SocketAddress | undefined;
  /** The client, when a balancer before us says who it is. */
  readonly remote?: SocketAddress | undefined;
}

/** A port that is open, the connections it accepted, and what answers them. */
export class OpenListener implements OpenPort, TakesOver {
  readonly #parts: OpenListenerParts;
  #port: Port | undefined = undefined;
  readonly #connections = new Map<DownstreamConnection, HttpConnection>();
  /** Sockets whose first bytes or handshake are awaited, and those whose bytes are passed on. */
  readonly #others = new Set<Socket>();
  /** Of connections whose handshake is awaited. */
  readonly #arrivals = new WeakMap<Socket, Arrival>();
  #listener: Listener;
  #chains: readonly LiveChain[] = [];
  #table: ChainTable<ChosenChain> = new ChainTable([]);
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

  /** Opens the port, if it has one; rejects with an Error that says where, why and what to do. */
  async open(): Promise<void> {
    if (this.#listener.bindsPort === false) return;
    const { address: host, port } = this.#listener;
    this.#port = await listen({ host, port }, (socket) => this.#accept(socket));
  }

  /**
   * Takes config for its address; to be called before `open` too. Connections stay, and their next requests follow it; those of a chain
   * that is gone finish the request under way. A chain whose certificates can't be read yet refuses connections, or keeps what it had.
   */
  async configure(listener: Listener, serviceFor: ServiceFor): Promise<void> {
    const before = new Map(this.#chains.map((live) => [live.chain.name, live]));
    const next = listener.filterChains.map((chain) => ({
      chain,
      live: before.get(chain.name) ?? this.#newChain(chain),
    }));
    await Promise.all(next.map(({ chain, live }) => live.tls.configure(chain.tls)));
    for (const { live, chain } of next) {
      live.chain = chain;
      live.service = chain.http && serviceFor(listener, chain);
      live.judge = chain.http ? undefined : this.#parts.judgeFor?.(chain);
      live.settings = atEdge(this.#parts.settings, chain.http?.edge);
      before.delete(chain.name);
    }
    this.#listener = listener;
    this.#chains = next.map(({ live }) => live);
    this.#table = new ChainTable(next.map(({ live, chain }) => ({ ...chain, live })));
    for (const gone of before.values()) gone.tls.stop();
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
    for (const { tls } of this.#chains) tls.stop();
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
    for (const { tls } of this.#chains) tls.stop();
  }

  #destroyAll(): void {
    for (const { http } of this.#connections.values()) http.destroy();
    for (const socket of this.#others) socket.destroy();
  }

  /** Takes a connection that another listener accepted, because it was meant to go here. */
  takeOver(socket: Socket, destination: SocketAddress): void {
    this.#route({ socket, destination });
  }

  #newChain(chain: FilterChain): LiveChain {
    const { clock, certificateRefreshMs, settings, onCertificateProblem, mesh } = this.#parts;
    const tls = new ChainTls({
      clock,
      refreshMs: certificateRefreshMs,
      secretsDirectory: this.#parts.secretsDirectory,
      handshakeTimeoutMs: settings.headerTimeoutMs,
      protocols: chain.http === undefined ? [] : ["h2", "http/1.1"],
      onProblem: (why) => onCertificateProblem(this.#listener.name, why),
      identity: mesh?.identity,
      counts: mesh?.counts,
      onRefused: (why, raw) => {
        const client = raw === undefined ? "" : `${raw.remoteAddress ?? ""}:${raw.remotePort ?? ""}`;
        mesh?.onRefused(this.#listener.name, client, why);
      },
      onSecured: (raw, socket) => {
        this.#others.delete(raw);
        const arrival = this.#arrivals.get(raw);
        this.#use(
          { ...arrival, socket, destination: arrival?.destination },
          live,
          socket,
          serverNameOf(socket),
        );
      },
    });
    const live: LiveChain = {
      chain,
      service: undefined,
      judge: undefined,
      settings: this.#parts.settings,
      tls,
      clientSpeaksFirst: new RecentlySeen(rememberedDestinations),
    };
    return live;
  }

  #accept(socket: Socket): void {
    if (this.#listener.expectsProxyHeader) {
      this.#keep(socket);
      void this.#acceptFromBalancer(socket);
      return;
    }
    if (this.#listener.usesOriginalDestination) {
      const destination = this.#parts.originalDestination(socket);
      const meant = destination && this.#parts.listenerAt(destination);
      if (meant !== undefined && meant !== this) meant.takeOver(socket, destination!);
      else this.#route({ socket, destination });
    } else this.#route({ socket, destination: undefined });
  }

  async #acceptFromBalancer(socket: Socket): Promise<void> {
    const { clock, settings } = this.#parts;
    const header = await takeProxyHeader(socket, clock, settings.headerTimeoutMs);
    if (header === undefined) return;
    this.#others.delete(socket);
    this.#route({ socket, destination: header.destination, remote: header.source });
  }

  #route(arrival: Arrival): void {
    const { only } = this.#table;
    // The common case costs nothing: one chain that takes whatever comes.
    if (only !== undefined && !only.live.tls.isConfigured) {
      this.#use(arrival, only.live, undefined, undefined);
      return;
    }
    this.#keep(arrival.socket);
    const { destination = addressesOf(arrival).local } = arrival;
    if (only !== undefined || this.#table.needsBytes(destination)) void this.#routeByFirstBytes(arrival);
    else this.#routeTo(arrival, { kind: "plain" });
  }

  /**
   * The upstream of what is not TLS is opened meanwhile, and if it speaks first, that decides: such a client waits for it. Where clients
   * spoke first lately, they get a moment to do so again.
   */
  async #routeByFirstBytes(arrival: Arrival): Promise<void> {
    const { clock, settings } = this.#parts;
    const raw = this.#choose(arrival, { kind: "plain" })?.live;
    const passes = raw?.chain.tcp !== undefined && !raw.tls.isConfigured;
    // Both sides of a connection that is passed on may be silent for as long as they like.
    const sniffer = new Sniffer(arrival.socket, {
      clock,
      timeoutMs: settings.headerTimeoutMs,
      mayBeSilent: passes,
      ...(this.#table.looksAtHttp ? { read: readFirstLine } : {}),
    });
    const { destination } = arrival;
    const place = destination === undefined ? "" : `${destination.host} ${destination.port}`;
    let early: PassedConnection | undefined;
    let cancelWait = (): void => {};
    if (passes) {
      const begin = (): void => {
        early = this.#newPassed(arrival, raw, undefined, undefined);
        void early.upstreamSpeaks().then((spoke) => spoke && sniffer.giveUp());
      };
      if (raw.clientSpeaksFirst.has(place)) cancelWait = clock.after(firstWordMs, begin);
      else begin();
    }
    const first = await sniffer.found;
    cancelWait();
    if (sniffer.isTimedOut) this.#parts.onDetectionTimeout?.(this.#listener.name);
    raw?.clientSpeaksFirst.note(place, first !== "given-up");
    const found = first === "given-up" ? ({ kind: "plain" } as const) : first;
    if (early !== undefined && found?.kind === "plain" && this.#choose(arrival, found)?.live === raw)
      return early.join(arrival.socket);
    early?.abandon();
    if (found !== undefined) this.#routeTo(arrival, found);
  }

  #routeTo(arrival: Arrival, first: FirstBytes): void {
    const { socket } = arrival;
    const chosen = this.#choose(arrival, first)?.live;
    const endsTls = chosen?.tls.isConfigured ?? false;
    const serverName = first.kind === "tls" ? first.serverName : undefined;
    // Nothing can be said to who can't be understood, as in Envoy.
    const fits = chosen !== undefined && first.kind !== "malformed" && (!endsTls || first.kind === "tls");
    if (!fits) this.#refuse(arrival, serverName);
    else if (endsTls) {
      this.#arrivals.set(socket, arrival);
      chosen.tls.accept(socket);
    } else {
      this.#others.delete(socket);
      this.#use(arrival, chosen, undefined, serverName);
    }
  }

  #choose(arrival: Arrival, first: FirstBytes): ChosenChain | undefined {
    const { destination } = arrival;
    const { remote, local } = addressesOf(arrival);
    return this.#table.choose({
      destination: destination ?? local,
      source: remote.host,
      isTls: first.kind === "tls",
      serverName: first.kind === "tls" ? first.serverName : undefined,
      protocols: first.kind === "tls" || first.kind === "plain" ? first.protocols : undefined,
    });
  }

  /** No chain takes it: that is worth a line in the access log. */
  #refuse(arrival: Arrival, serverName: string | undefined): void {
    const connection = this.#newConnection(arrival, undefined, undefined, serverName);
    connection.errorCode = "no_route";
    connection.flags = errorCatalogue.no_route.flag;
    connection.detail = "filter_chain_not_found";
    arrival.socket.destroy();
    connection.finishedAt = this.#parts.clock.monotonic();
    this.#parts.tcp.closed(connection);
  }

  #use(
    arrival: Arrival,
    live: LiveChain,
    secured: TLSSocket | undefined,
    serverName: string | undefined,
  ): void {
    if (live.chain.tcp === undefined) {
      this.#serve(arrival, live, secured);
      return;
    }
    this.#keep(arrival.socket);
    void this.#newPassed(arrival, live, secured, serverName).join(arrival.socket);
  }

  #newPassed(
    arrival: Arrival,
    live: LiveChain,
    secured: TLSSocket | undefined,
    serverName: string | undefined,
  ): PassedConnection {
    const connection = this.#newConnection(arrival, live.chain, secured, serverName);
    const { judge } = live;
    if (judge === undefined) return new PassedConnection(live.chain.tcp!, connection, this.#parts);
    const { openTcp } = this.#parts;
    const whenAllowed: typeof openTcp = (proxy, judged) => judge(judged).then(() => openTcp(proxy, judged));
    return new PassedConnection(live.chain.tcp!, connection, { ...this.#parts, openTcp: whenAllowed });
  }

  #newConnection(
    arrival: Arrival,
    chain: FilterChain | undefined,
    secured: TLSSocket | undefined,
    serverName: string | undefined,
  ): TcpConnection {
    const { destination } = arrival;
    const peer = secured && peerOf(secured);
    return new TcpConnection({
      downstream: {
        ...addressesOf(arrival),
        listener: this.#listener.name,
        direction: this.#listener.direction,
        scheme: secured === undefined ? "http" : "https",
        ...(peer === undefined ? {} : { peer }),
        ...(destination === undefined ? {} : { destination }),
        ...(serverName === undefined ? {} : { serverName }),
      },
      startedAt: this.#parts.clock.monotonic(),
      chain: chain?.name ?? "",
      source: chain?.source,
    });
  }

  #serve(arrival: Arrival, live: LiveChain, secured: TLSSocket | undefined): void {
    const { socket, destination } = arrival;
    const most = live.chain.http?.edge?.maxConnections;
    if (most !== undefined && this.#connections.size >= most) {
      this.#turnAway(arrival, live.chain);
      return;
    }
    const serverName = secured && serverNameOf(secured);
    const peer = secured && peerOf(secured);
    const downstream: DownstreamConnection = {
      remote: arrival.remote ?? { host: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 },
      local: { host: socket.localAddress ?? "", port: socket.localPort ?? 0 },
      listener: this.#listener.name,
      scheme: secured === undefined ? "http" : "https",
      ...(peer === undefined ? {} : { peer }),
      ...(serverName === undefined ? {} : { serverName }),
      ...(secured === undefined ? {} : { tls: agreedOn(secured), ...certificateOf(secured) }),
      ...(destination === undefined ? {} : { destination }),
      ...(destination === undefined || arrival.remote !== undefined ? {} : { isRedirected: true as const }),
    };
    const { clock, onRejected } = this.#parts;
    const { settings } = live;
    const answer: Service = (exchange) => {
      if (this.#isDraining) http.drain();
      return live.service!(exchange);
    };
    const options = { settings, clock, downstream, onRejected };
    const http: HttpServerConnection = serveHttp(socket, options, answer, secured?.alpnProtocol);
    // Whoever looked at the first bytes has paused it.
    if (secured === undefined && socket.isPaused()) socket.resume();
    this.#connections.set(downstream, { http, live });
    http.onClose = () => {
      this.#connections.delete(downstream);
      this.#noteGone();
    };
  }

  /** One connection more than an edge takes. */
  #turnAway(arrival: Arrival, chain: FilterChain): void {
    const connection = this.#newConnection(arrival, chain, undefined, undefined);
    connection.errorCode = "overloaded";
    connection.flags = errorCatalogue.overloaded.flag;
    connection.detail = "connection_limit_reached";
    arrival.socket.destroy();
    connection.finishedAt = this.#parts.clock.monotonic();
    this.#parts.tcp.closed(connection);
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
  readonly http: HttpServerConnection;
  readonly live: LiveChain;
}

/** Of each chain; the one unused for longest makes room. */
const rememberedDestinations = 1_000;

/** ms that clients get to speak before an upstream is opened for them, where they lately spoke first. */
const firstWordMs = 200;

function certificateOf(secured: TLSSocket): Pick<DownstreamConnection, "clientCertificate"> {
  const clientCertificate = clientCertificateOf(secured);
  return clientCertificate === undefined ? {} : { clientCertificate };
}

function serverNameOf({ servername }: TLSSocket): string | undefined {
  return typeof servername === "string" ? servername : undefined;
}

function addressesOf({ socket, remote }: Arrival): {
  readonly remote: SocketAddress;
  readonly local: SocketAddress;
} {
  const { remoteAddress = "", remotePort = 0, localAddress = "", localPort = 0 } = socket;
  return {
    remote: remote ?? { host: plainAddress(remoteAddress), port: remotePort },
    local: { host: plainAddress(localAddress), port: localPort },
  };
}

function agreedOn(secured: TLSSocket): NonNullable<DownstreamConnection["tls"]> {
  return { version: secured.getProtocol() ?? "", cipher: secured.getCipher().name };
}
