import type { Socket } from "node:net";
import type { Clock } from "../../../common/base/clock.ts";
import type { MeshError } from "../../errors.ts";
import { meshError } from "../../errors.ts";
import type { ClientConnection } from "../client-connection.ts";
import type { Exchange, Response } from "../exchange.ts";
import { Deadline } from "../http1/deadline.ts";
import type { Http2ClientSettings } from "./client-settings.ts";
import { ClientStream } from "./client-stream.ts";
import { clientPreface, ErrorCode, errorName, Http2Error, maxUint31 } from "./frame.ts";
import type { SessionOwner } from "./session.ts";
import { Session } from "./session.ts";
import { settingsPayload } from "./settings.ts";

/** One multiplexed connection to an endpoint, from connect to close. */
export class Http2ClientConnection implements ClientConnection, SessionOwner {
  readonly isMultiplexed = true;
  isReused = false;
  onAvailable: (() => void) | undefined = undefined;
  onEnded: (() => void) | undefined = undefined;
  onClose: (() => void) | undefined = undefined;

  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #settings: Http2ClientSettings;
  readonly #session: Session;
  readonly #deadline: Deadline;
  #nextId = 1;
  /** `leaving`: takes no further exchange, and ends with the last. */
  #phase: "open" | "leaving" | "closed" = "open";
  /** Monotonic ms when octets came last. */
  #heardAt: number;
  /** Monotonic ms when an exchange began while there was no other. */
  #idleEndedAt = 0;
  #awaitsPing = false;
  /** Upgrades wait for the server's word on whether it takes them. */
  readonly #unsettled = new Map<Exchange, (answer: Promise<Response>) => void>();

  constructor(socket: Socket, clock: Clock, settings: Http2ClientSettings, carriesHttp1: boolean) {
    this.#socket = socket;
    this.#clock = clock;
    this.#settings = settings;
    const uncounted = carriesHttp1 ? 32 * settings.maxHeaderCount : 0;
    const limits = { maxOctets: settings.maxHeaderBytes + uncounted, maxFields: settings.maxHeaderCount };
    this.#session = new Session(socket, this, clock, limits, true, carriesHttp1);
    this.#heardAt = clock.monotonic();
    this.#deadline = new Deadline(clock, () => this.#wake());
    if (socket.destroyed) {
      // Nothing more will be heard of it.
      this.#phase = "closed";
      return;
    }
    socket.on("error", (error) => this.#lost(error));
    socket.on("close", () => this.#lost(undefined));
    socket.on("end", () => this.#lost(undefined));
    socket.on("data", (chunk: Buffer) => this.#feed(chunk));
    socket.write(clientPreface);
    this.#session.begin(
      settingsPayload({
        enablePush: false,
        initialWindowSize: this.#session.ownInitialWindow,
        maxHeaderListSize: settings.maxHeaderBytes,
      }),
    );
  }

  get capacity(): number {
    if (this.#phase !== "open") return 0;
    const most = Math.min(this.#session.peer.maxConcurrentStreams, this.#settings.maxConcurrentStreams);
    return Math.max(0, most - this.#session.streams.size);
  }

  get localAddress(): string {
    const { localAddress = "", localPort = 0 } = this.#socket;
    return `${localAddress}:${localPort}`;
  }

  send(exchange: Exchange): Promise<Response> {
    if (this.capacity === 0)
      return this.#refuse(meshError("reset_before_request", "connection_not_available"));
    const session = this.#session;
    if (exchange.upgrade !== undefined && !session.hasSettings) return this.#sendWhenSettled(exchange);
    if (exchange.upgrade !== undefined && !session.peer.enableConnectProtocol)
      return this.#refuse(meshError("upstream_protocol_error", "http2.extended_connect_not_supported"));
    if (unsafeTarget.test(exchange.path) || unsafeTarget.test(exchange.authority))
      return this.#refuse(meshError("internal", "http2.unsafe_request_line"));
    const id = this.#nextId;
    this.#nextId += 2;
    if (this.#nextId > maxUint31 - 2) this.#phase = "leaving";
    this.isReused = true;
    const now = this.#clock.monotonic();
    const stream = new ClientStream(id, session, exchange, now);
    if (session.streams.size === 0) this.#watch(now);
    session.streams.add(stream);
    return stream.start();
  }

  close(): void {
    if (this.#phase === "closed") return;
    this.#phase = "leaving";
    if (this.#session.streams.size === 0) this.#finish();
  }

  destroy(): void {
    this.#lost(undefined);
  }

  /** No stream came of it; the pool hears of its end all the same. */
  #refuse(cause: MeshError): Promise<Response> {
    queueMicrotask(() => {
      if (this.#phase !== "closed") this.onEnded?.();
    });
    return Promise.reject(cause);
  }

  #sendWhenSettled(exchange: Exchange): Promise<Response> {
    return new Promise((resolve) => {
      const give = (answer: Promise<Response>): void => {
        this.#unsettled.delete(exchange);
        resolve(answer);
      };
      this.#unsettled.set(exchange, give);
      exchange.whenCancelled((cause) => give(this.#refuse(cause)));
    });
  }

  #feed(chunk: Buffer): void {
    if (this.#session.isClosed) return;
    this.#heardAt = this.#clock.monotonic();
    this.#session.feed(chunk);
  }

  // --- SessionOwner ---

  strangeHeaders(streamId: number): void {
    if (!this.isKnown(streamId))
      throw new Http2Error(ErrorCode.protocolError, "http2.headers_on_idle_stream");
    throw new Http2Error(ErrorCode.streamClosed, "http2.headers_on_closed_stream");
  }

  isKnown(streamId: number): boolean {
    return streamId % 2 === 1 && streamId < this.#nextId;
  }

  settingsRead(): void {
    for (const [exchange, give] of this.#unsettled) {
      exchange.whenCancelled(undefined);
      give(this.send(exchange));
    }
    if (this.capacity > 0) this.onAvailable?.();
  }

  goawayRead(lastStreamId: number, code: number): void {
    if (this.#phase === "closed") return;
    this.#phase = "leaving";
    for (const stream of this.#session.streams.all()) {
      // RFC 9113 6.8: the server has not looked at these and never will.
      if (stream.id > lastStreamId)
        stream.broken(meshError("reset_before_request", `http2.goaway_${errorName(code)}`));
    }
    if (this.#session.streams.size === 0) this.#finish();
  }

  pingAcknowledged(): void {
    this.#awaitsPing = false;
  }

  streamRemoved(): void {
    if (this.#phase === "closed") return;
    this.onEnded?.();
    if (this.#phase === "open") this.onAvailable?.();
    else if (this.#session.streams.size === 0) this.#finish();
  }

  violated(error: Http2Error): void {
    this.#end(meshError("upstream_protocol_error", error.message, error));
    this.#socket.end();
    this.#socket.destroySoon();
  }

  // --- endings ---

  /** Nothing is under way and nothing will be. */
  #finish(): void {
    if (this.#phase === "closed") return;
    this.#session.sendGoaway(0, ErrorCode.noError);
    this.#session.output.flush();
    this.#end(undefined);
    this.#socket.destroySoon();
  }

  #lost(error: Error | undefined): void {
    if (this.#phase === "closed") return;
    this.#end(meshError("upstream_reset", "connection_lost", error));
    this.#socket.destroy();
  }

  #end(cause: MeshError | undefined, isSilent = false): void {
    this.#phase = "closed";
    this.#deadline.stop();
    this.#session.isClosed = true;
    this.#session.output.close();
    const lost = cause ?? meshError("upstream_reset", "connection_closed");
    for (const give of this.#unsettled.values()) give(Promise.reject(lost));
    const streams = this.#session.streams.all();
    for (const stream of streams) {
      if (stream instanceof ClientStream)
        stream.lost(lost, isSilent ? Number.POSITIVE_INFINITY : this.#heardAt);
    }
    this.onClose?.();
  }

  // --- keepalive ---

  #watch(now: number): void {
    const { pingIntervalMs } = this.#settings;
    this.#idleEndedAt = now;
    if (pingIntervalMs > 0) this.#deadline.set(now + pingIntervalMs, now);
  }

  /** Looks whether the server has been silent for too long while answers are awaited. */
  #wake(): void {
    if (this.#phase === "closed" || this.#session.streams.size === 0) return;
    const { pingIntervalMs, pingTimeoutMs } = this.#settings;
    const now = this.#clock.monotonic();
    const silentMs = now - Math.max(this.#heardAt, this.#idleEndedAt);
    if (this.#awaitsPing && silentMs >= pingTimeoutMs) {
      this.#end(meshError("upstream_reset", "http2.ping_timeout"), true);
      this.#socket.destroy();
      return;
    }
    this.#awaitsPing = false;
    if (silentMs + 1 < pingIntervalMs) {
      this.#deadline.set(now - silentMs + pingIntervalMs, now);
      return;
    }
    this.#awaitsPing = true;
    this.#session.sendPing();
    this.#deadline.set(now + pingTimeoutMs, now);
  }
}

/** What would end or split a request line where it is written as one. */
const unsafeTarget = /[^\x21-\x7e\x80-\xff]/;
