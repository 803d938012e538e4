import type { Socket } from "node:net";
import type { CancelTimer } from "../../../common/base/clock.ts";
import type { MeshError } from "../../errors.ts";
import { MeshError as MeshErrorClass, meshError } from "../../errors.ts";
import { Body } from "../body.ts";
import { Exchange } from "../exchange.ts";
import { HeaderList } from "../header-list.ts";
import { Deadline } from "../http1/deadline.ts";
import type { Service } from "../layer.ts";
import type { HttpServerConnection, HttpServerOptions } from "../server-connection.ts";
import { clientPreface, ErrorCode, Http2Error, maxUint31 } from "./frame.ts";
import type { FieldBlock } from "./hpack/decoder.ts";
import type { RequestFields } from "./request-fields.ts";
import { readRequest, refusedLine } from "./request-fields.ts";
import { ServerStream } from "./server-stream.ts";
import type { SessionOwner } from "./session.ts";
import { Session } from "./session.ts";
import { settingsPayload } from "./settings.ts";

/** How long we read on after our FIN, so that no reset overtakes what we said last. */
const lingerMs = 1_000;
/** How long the first GOAWAY may take to reach the client and come back as an acknowledged PING. */
const goawayTripMs = 1_000;

/** Requests at a time on a connection of another sidecar: those that many clients' connections would have brought. */
const sharedStreams = 1_024;

/** One downstream HTTP/2 connection, from accept to close. */
export class Http2ServerConnection implements HttpServerConnection, SessionOwner {
  onClose: (() => void) | undefined = undefined;

  readonly #socket: Socket;
  readonly #options: HttpServerOptions;
  readonly #service: Service;
  readonly #session: Session;
  readonly #maxStreams: number;
  readonly #deadline: Deadline;
  /** `announced`: the client has been told to open no more streams; `leaving`: it knows, or has had time to. */
  #phase: "open" | "announced" | "leaving" | "lingering" | "closed" = "open";
  #prefaceOctets = 0;
  /** Monotonic ms when what is incomplete began: the preface, a frame, a header block. 0: nothing is. */
  #partialSince: number;
  /** Monotonic ms when the last stream ended. */
  #idleSince: number;
  #cancelTimer: CancelTimer | undefined = undefined;

  constructor(socket: Socket, options: HttpServerOptions, service: Service, carriesHttp1: boolean) {
    const { settings, clock } = options;
    this.#socket = socket;
    this.#options = options;
    this.#service = service;
    // A header section that HTTP/1.1 lets through must not be too long only because HTTP/2 counts 32 octets more for each field.
    const uncounted = carriesHttp1 ? 32 * settings.maxHeaderCount : 0;
    const limits = { maxOctets: settings.maxHeaderBytes + uncounted, maxFields: settings.maxHeaderCount };
    this.#maxStreams = carriesHttp1 ? sharedStreams : settings.maxConcurrentStreams;
    this.#session = new Session(socket, this, clock, limits, false, carriesHttp1);
    this.#deadline = new Deadline(clock, () => this.#expire());
    this.#idleSince = clock.monotonic();
    this.#partialSince = this.#idleSince;
  }

  get activeExchanges(): number {
    return this.#session.streams.size;
  }

  start(firstBytes: Buffer | undefined): void {
    const { settings } = this.#options;
    const socket = this.#socket;
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.on("close", () => this.#closed());
    socket.on("end", () => this.#ended());
    this.#session.begin(
      settingsPayload({
        initialWindowSize: this.#session.ownInitialWindow,
        maxHeaderListSize: settings.maxHeaderBytes,
        maxConcurrentStreams: this.#maxStreams,
        enableConnectProtocol: true,
      }),
    );
    this.#deadline.set(this.#partialSince + settings.headerTimeoutMs, this.#partialSince);
    if (firstBytes !== undefined && firstBytes.length > 0) this.#feed(firstBytes);
    socket.on("data", (chunk: Buffer) => this.#feed(chunk));
  }

  drain(): void {
    if (this.#phase !== "open") return;
    this.#phase = "announced";
    this.#session.sendGoaway(maxUint31, ErrorCode.noError);
    this.#session.sendPing();
    this.#cancelTimer = this.#options.clock.after(goawayTripMs, () => this.#leave());
  }

  destroy(): void {
    this.#socket.destroy();
    this.#closed();
  }

  #feed(chunk: Buffer): void {
    if (this.#session.isClosed) return;
    if (this.#prefaceOctets < clientPreface.length) {
      const octets = Math.min(clientPreface.length - this.#prefaceOctets, chunk.length);
      const expected = clientPreface.subarray(this.#prefaceOctets, this.#prefaceOctets + octets);
      if (!expected.equals(chunk.subarray(0, octets))) {
        this.#session.sendGoaway(0, ErrorCode.protocolError, "http2.invalid_preface");
        this.#session.output.flush();
        this.violated(new Http2Error(ErrorCode.protocolError, "http2.invalid_preface"));
        return;
      }
      this.#prefaceOctets += octets;
      if (octets === chunk.length) return;
      this.#session.feed(chunk.subarray(octets));
    } else this.#session.feed(chunk);
    if (this.#phase === "closed" || this.#phase === "lingering") return;
    const isPartial = this.#session.isMidFrame || !this.#session.hasSettings;
    if (!isPartial) this.#partialSince = 0;
    else if (this.#partialSince === 0) {
      const now = this.#options.clock.monotonic();
      this.#partialSince = now;
      this.#deadline.set(Math.min(this.#deadline.at, now + this.#options.settings.headerTimeoutMs), now);
    }
  }

  // --- SessionOwner ---

  strangeHeaders(streamId: number, block: FieldBlock, endsStream: boolean): void {
    const session = this.#session;
    if (streamId % 2 === 0) throw new Http2Error(ErrorCode.protocolError, "http2.even_stream");
    if (streamId <= session.lastPeerStream)
      throw new Http2Error(ErrorCode.streamClosed, "http2.headers_on_closed_stream");
    session.lastPeerStream = streamId;
    const { settings, clock } = this.#options;
    if (this.#phase === "leaving" || session.streams.size >= this.#maxStreams)
      throw new Http2Error(ErrorCode.refusedStream, "http2.too_many_streams", streamId);
    let request: RequestFields | MeshError;
    try {
      request = readRequest(block, settings, streamId);
    } catch (thrown) {
      if (!(thrown instanceof MeshErrorClass)) {
        if (thrown instanceof Http2Error) this.#noteViolation(thrown, block);
        throw thrown;
      }
      request = thrown;
    }
    const now = clock.monotonic();
    if (
      endsStream &&
      !(request instanceof MeshErrorClass) &&
      request.contentLength > 0 &&
      request.upgrade === undefined
    )
      throw new Http2Error(ErrorCode.protocolError, "http2.body_shorter_than_announced", streamId);
    if (session.streams.size === 0) this.#deadline.set(this.#firstDeadline(now), now);
    if (request instanceof MeshErrorClass) {
      const line = { ...refusedLine(block), ...emptyRequest };
      const stream = new ServerStream(streamId, session, this.#options, line, endsStream, now);
      session.streams.add(stream);
      const { onRejected } = this.#options;
      if (onRejected !== undefined) stream.exchange.onFinish(onRejected);
      stream.reject(request);
      return;
    }
    const stream = new ServerStream(streamId, session, this.#options, request, endsStream, now);
    session.streams.add(stream);
    stream.answer(this.#service);
  }

  isKnown(streamId: number): boolean {
    return streamId % 2 === 1 && streamId <= this.#session.lastPeerStream;
  }

  settingsRead(): void {}

  goawayRead(): void {}

  pingAcknowledged(): void {
    if (this.#phase === "announced") this.#leave();
  }

  streamRemoved(): void {
    if (this.#session.streams.size > 0) return;
    this.#idleSince = this.#options.clock.monotonic();
    if (this.#phase === "leaving") this.#finish();
    else this.#deadline.set(this.#idleSince + this.#options.settings.keepAliveTimeoutMs, this.#idleSince);
  }

  violated(error: Http2Error): void {
    this.#noteViolation(error, undefined);
    this.#breakStreams(meshError("bad_request", error.message, error));
    this.#finish();
  }

  // --- endings ---

  /** The client has read that it may open no more streams; what it opened before is answered. */
  #leave(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (this.#phase !== "announced") return;
    this.#phase = "leaving";
    this.#session.sendGoaway(this.#session.lastPeerStream, ErrorCode.noError);
    if (this.#session.streams.size === 0) this.#finish();
  }

  /** Says the last word and reads on for a moment. */
  #finish(): void {
    if (this.#phase === "lingering" || this.#phase === "closed") return;
    this.#phase = "lingering";
    this.#cancelTimer?.();
    this.#session.output.flush();
    this.#session.isClosed = true;
    this.#socket.end();
    const now = this.#options.clock.monotonic();
    this.#deadline.set(now + lingerMs, now);
  }

  /** FIN from the client: it opens no more streams, and may still read. */
  #ended(): void {
    if (this.#phase === "lingering" || this.#phase === "closed") return;
    this.#phase = "leaving";
    if (this.#session.streams.size === 0) this.#finish();
  }

  #closed(): void {
    if (this.#phase === "closed") return;
    this.#phase = "closed";
    this.#deadline.stop();
    this.#cancelTimer?.();
    this.#session.isClosed = true;
    this.#session.output.close();
    this.#breakStreams(meshError("downstream_closed", "downstream_remote_disconnect"));
    this.onClose?.();
  }

  #breakStreams(cause: MeshError): void {
    for (const stream of this.#session.streams.all()) stream.broken(cause);
  }

  // --- time ---

  #firstDeadline(now: number): number {
    const { idleTimeoutMs, requestTimeoutMs, headerTimeoutMs } = this.#options.settings;
    let at = Number.POSITIVE_INFINITY;
    if (idleTimeoutMs > 0) at = now + idleTimeoutMs;
    if (requestTimeoutMs > 0) at = Math.min(at, now + requestTimeoutMs);
    if (this.#partialSince > 0) at = Math.min(at, this.#partialSince + headerTimeoutMs);
    return at;
  }

  /** One timer for the connection and all its streams: looks who is due, and sleeps until the next may be. */
  #expire(): void {
    if (this.#phase === "lingering") {
      this.#socket.destroy();
      return;
    }
    const { settings, clock } = this.#options;
    const now = clock.monotonic() + 1;
    if (this.#partialSince > 0 && now >= this.#partialSince + settings.headerTimeoutMs) {
      this.violated(new Http2Error(ErrorCode.protocolError, "http2.incomplete_frame_timeout"));
      return;
    }
    if (this.#session.streams.size === 0 && now >= this.#idleSince + settings.keepAliveTimeoutMs) {
      this.#phase = "announced";
      this.#leave();
      return;
    }
    let next = this.#firstDeadline(now);
    if (this.#session.streams.size === 0) next = this.#idleSince + settings.keepAliveTimeoutMs;
    for (const stream of this.#session.streams.all()) {
      if (stream instanceof ServerStream) next = Math.min(next, this.#expireStream(stream, now));
    }
    if (this.#phase !== "closed") this.#deadline.set(Math.max(next, now), now);
  }

  /** When the stream is to be looked at again. */
  #expireStream(stream: ServerStream, now: number): number {
    const { idleTimeoutMs, requestTimeoutMs } = this.#options.settings;
    let next = Number.POSITIVE_INFINITY;
    if (requestTimeoutMs > 0 && stream.exchange.requestCompleteAt === 0) {
      next = stream.exchange.startedAt + requestTimeoutMs;
      if (now >= next) {
        stream.expireRequest();
        return now + idleTimeoutMs;
      }
    }
    if (idleTimeoutMs > 0) {
      if (now >= stream.touchedAt + idleTimeoutMs) {
        stream.touchedAt = now;
        stream.expire();
      }
      next = Math.min(next, stream.touchedAt + idleTimeoutMs);
    }
    return next;
  }

  /** For metrics and log: what came was no HTTP/2, so there is no exchange that would say so. */
  #noteViolation(error: Http2Error, block: FieldBlock | undefined): void {
    const { downstream, onRejected, clock } = this.#options;
    if (onRejected === undefined) return;
    const now = clock.monotonic();
    const cause = meshError("bad_request", error.message);
    const { method, path } = block === undefined ? { method: "", path: "" } : refusedLine(block);
    const exchange = new Exchange({
      downstream,
      protocol: "HTTP/2",
      startedAt: now,
      method,
      scheme: downstream.scheme,
      authority: "",
      path,
      headers: new HeaderList(),
      body: Body.empty(),
      upgrade: undefined,
      expectsContinue: false,
    });
    exchange.addFlag(cause.entry.flag);
    exchange.errorCode = cause.code;
    exchange.detail = cause.detail;
    exchange.onFinish(onRejected);
    exchange.finish(now);
  }
}

const emptyRequest = {
  authority: "",
  fields: [],
  contentLength: -1,
  upgrade: undefined,
  expectsContinue: false,
} as const;
