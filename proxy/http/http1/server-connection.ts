import type { Socket } from "node:net";
import type { MeshError } from "../../errors.ts";
import { meshError, toMeshError } from "../../errors.ts";
import { Body } from "../body.ts";
import type { Response } from "../exchange.ts";
import { Exchange } from "../exchange.ts";
import { HeaderList } from "../header-list.ts";
import type { Service } from "../layer.ts";
import { localReply } from "../reply.ts";
import type { HttpServerConnection, HttpServerOptions } from "../server-connection.ts";
import type { Framing } from "./framing.ts";
import { interimHead, responseHead, switchingHead } from "./head-writer.ts";
import type { MessageWriterEvents } from "./message-writer.ts";
import { MessageWriter } from "./message-writer.ts";
import type { RequestHead } from "./request-head.ts";
import type { RequestReaderEvents } from "./request-reader.ts";
import { RequestReader } from "./request-reader.ts";
import { RequestTimeouts } from "./request-timeouts.ts";

/**
 * How long we read on after our FIN, so that the client gets the answer before a reset could overtake it (RFC 9112 9.6): until it has been
 * silent for the first time, and no longer than the second. A client that reads only once its upload is through needs it.
 */
const lingerMs = 1_000;
const longestLingerMs = 30_000;
/** How long a client that could not know that we drain may take to read it in one more answer. */
const drainGraceMs = 1_000;
/** How long a cancelled request may take to come up with its error. */
const cancelGraceMs = 1_000;

/** The one implementation behind `serveHttp1`. */
export class ServerConnection implements HttpServerConnection, RequestReaderEvents, MessageWriterEvents {
  onClose: (() => void) | undefined = undefined;

  readonly #socket: Socket;
  readonly #options: HttpServerOptions;
  readonly #service: Service;
  readonly #reader: RequestReader;
  readonly #writer: MessageWriter;
  readonly #timeouts: RequestTimeouts;
  #exchange: Exchange | undefined = undefined;
  /** The answer under way, once its head went to the writer. */
  #response: Response | undefined = undefined;
  #phase: "open" | "lingering" | "closed" = "open";
  /** No request follows the one under way. */
  #isLast = false;
  /** The client has read that no request may follow. */
  #hasSaidSo = false;
  #clientEnded = false;
  #isPaused = false;
  /** What still arrives is not looked at: the bytes made no sense, or came too late. */
  #isDeaf = false;
  /** Pipelined requests started since the event loop last turned. */
  #burst = 0;
  #headStartedAt = 0;
  /** Monotonic ms; 0 until all that was written has left. */
  #lingersUntil = 0;

  constructor(socket: Socket, options: HttpServerOptions, service: Service) {
    this.#socket = socket;
    this.#options = options;
    this.#service = service;
    this.#reader = new RequestReader(options.settings, this);
    this.#writer = new MessageWriter(socket, this);
    this.#timeouts = new RequestTimeouts(options.settings, options.clock, () => this.#expire());
  }

  get activeExchanges(): number {
    return this.#exchange === undefined ? 0 : 1;
  }

  start(firstBytes: Buffer | undefined): void {
    const socket = this.#socket;
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.on("close", () => this.#closed());
    socket.on("end", () => this.#ended());
    this.#timeouts.awaitRequest(this.#options.clock.monotonic());
    if (firstBytes !== undefined && firstBytes.length > 0) this.#feed(firstBytes);
    socket.on("data", (chunk: Buffer) => this.#feed(chunk));
    if (this.#isPaused) socket.pause();
  }

  drain(): void {
    this.#isLast = true;
    if (this.#exchange === undefined && this.#phase === "open" && !this.#reader.holdsBytes)
      this.#finishConnection();
  }

  destroy(): void {
    this.#socket.destroy();
    this.#closed();
  }

  // --- bytes in ---

  #feed(chunk: Buffer): void {
    if (this.#phase === "lingering") this.#lingerOn();
    if (this.#phase !== "open" || this.#isDeaf) return;
    const now = this.#options.clock.monotonic();
    if (this.#exchange !== undefined) this.#timeouts.touch(now);
    else if (!this.#reader.isMidHead) this.#headStartedAt = now;
    this.#burst = 0;
    try {
      this.#reader.feed(chunk);
    } catch (thrown) {
      this.#violated(toMeshError(thrown));
      return;
    }
    this.#afterReading(now);
  }

  #afterReading(now: number): void {
    if (this.#exchange === undefined) {
      if (this.#reader.isMidHead) this.#timeouts.awaitHead(this.#headStartedAt, now);
    } else if (this.#exchange.requestCompleteAt === 0) {
      // Kept up to date while the body comes in: the time-out filter tells a slow upload from one that stands still.
      this.#exchange.bytesReceived = this.#reader.bodyOctets;
      if (this.#reader.isComplete) {
        this.#exchange.requestCompleteAt = now;
        this.#timeouts.requestCompleted();
      }
    }
    if (this.#reader.isBlocked) this.#pause();
    else if (this.#isPaused) this.#resume();
  }

  requestRead(head: RequestHead, body: Body): void {
    const { downstream } = this.#options;
    const now = this.#headStartedAt;
    const exchange = new Exchange({
      downstream,
      protocol: "HTTP/1.1",
      startedAt: now,
      method: head.method,
      scheme: downstream.scheme,
      authority: head.authority,
      path: head.path,
      headers: new HeaderList(head.fields),
      body,
      upgrade: head.upgrade,
      expectsContinue: head.expectsContinue,
    });
    this.#exchange = exchange;
    if (head.connection.close) this.#isLast = true;
    this.#timeouts.requestBegan(now);
    exchange.onInformational = this.#inform;
    try {
      this.#service(exchange).then(this.#respond, this.#refuse);
    } catch (thrown) {
      queueMicrotask(() => this.#refuse(thrown));
    }
  }

  bodyResumed(): void {
    if (this.#isPaused && !this.#reader.isBlocked) this.#resume();
  }

  bodyCancelled(): void {
    const response = this.#response;
    // A tunnel whose upstream half is gone has nowhere to send to.
    if (response?.status === 101) this.#finishConnection();
    else this.bodyResumed();
  }

  #pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#socket.pause();
  }

  #resume(): void {
    this.#isPaused = false;
    this.#socket.resume();
  }

  // --- answers out ---

  #respond = (response: Response): void => {
    const exchange = this.#exchange;
    if (exchange === undefined || this.#phase !== "open" || this.#response !== undefined) {
      response.body.cancel();
      return;
    }
    const { status } = response;
    if (status === 101 ? exchange.upgrade === undefined : status < 200) {
      response.body.cancel();
      if (status === 0) this.#abort(exchange.cancelCause ?? meshError("downstream_closed"));
      else this.#refuse(meshError("internal", "http1.interim_status_as_final"));
      return;
    }
    const now = this.#options.clock.monotonic();
    this.#response = response;
    this.#timeouts.touch(now);
    if (exchange.upgrade !== undefined && status !== 101 && this.#reader.refuseTunnel()) this.#isLast = true;
    if (status !== 101 && !this.#reader.isComplete) this.#isLast = true;
    exchange.status = status;
    exchange.responseStartedAt = now;
    exchange.responseHeaders = response.headers;
    exchange.grpcStatus = response.headers.get("grpc-status");
    // A request that was given up (a time-out) still gets the answer that says so.
    exchange.whenCancelled(exchange.cancelCause === undefined ? this.#abort : undefined);
    this.#writer.batching = this.#reader.holdsBytes;
    if (status === 101) {
      this.#writer.write(switchingHead(response.headers, exchange.upgrade!), response.body, "tunnel");
    } else this.#writeResponse(exchange, response);
  };

  #writeResponse(exchange: Exchange, response: Response): void {
    const { status, body } = response;
    const isBodiless = exchange.method === "HEAD" || status === 204 || status === 304;
    const framing: Framing = isBodiless ? 0 : (body.length ?? "chunked");
    const closing = this.#isLast || (this.#clientEnded && !this.#reader.holdsBytes);
    if (closing) this.#hasSaidSo = true;
    const connection = closing ? (status === 426 ? "upgrade" : "close") : "keep-alive";
    const head = responseHead(status, response.reason, response.headers, framing, isBodiless, connection);
    this.#writer.write(head, body, framing);
    if (framing === 0) body.cancel();
  }

  /** The service failed before it answered. */
  #refuse = (thrown: unknown): void => {
    if (this.#exchange === undefined || this.#phase !== "open" || this.#response !== undefined) return;
    this.#respond(localReply(this.#exchange, toMeshError(thrown)));
  };

  #inform = (status: number, headers: HeaderList): void => {
    if (this.#phase !== "open" || this.#response !== undefined || this.#exchange === undefined) return;
    this.#timeouts.touch(this.#options.clock.monotonic());
    this.#writer.writeHead(interimHead(status, headers));
  };

  messageProgressed(): void {
    this.#timeouts.touch(this.#options.clock.monotonic());
  }

  messageWritten(trailers: HeaderList | undefined): void {
    const exchange = this.#exchange!;
    if (trailers !== undefined) exchange.grpcStatus ??= trailers.get("grpc-status");
    if (this.#response?.status === 101) {
      // The upstream half ended; the client's half ends with the socket.
      this.#socket.end();
      return;
    }
    this.#finishExchange(exchange);
    const isOver = !this.#reader.isComplete || (this.#clientEnded && !this.#reader.holdsBytes);
    if (isOver || (this.#isLast && this.#hasSaidSo)) {
      this.#finishConnection();
      return;
    }
    // Draining began behind the head: a request that crosses our FIN would be lost.
    if (this.#isLast) this.#timeouts.within(drainGraceMs, exchange.finishedAt);
    else this.#timeouts.awaitRequest(exchange.finishedAt);
    if (!this.#reader.holdsBytes) {
      this.#reader.next();
      if (this.#isPaused) this.#resume();
    } else if (++this.#burst < this.#options.settings.maxPipelined) this.#nextRequest();
    else setImmediate(this.#nextBurst);
  }

  messageBroken(cause: MeshError, headSent: boolean): void {
    const response = this.#response!;
    if (!headSent && response.status !== 101) {
      this.#response = undefined;
      this.#refuse(cause);
    } else this.#abort(cause);
  }

  #nextBurst = (): void => {
    this.#burst = 0;
    if (this.#phase === "open") this.#nextRequest();
  };

  /** Goes on with bytes of a pipeline that are here already. */
  #nextRequest(): void {
    this.#headStartedAt = this.#options.clock.monotonic();
    try {
      this.#reader.next();
    } catch (thrown) {
      this.#violated(toMeshError(thrown));
      return;
    }
    this.#afterReading(this.#headStartedAt);
    // What was held ended in the middle of a head or with an empty line, and no more will come.
    if (this.#clientEnded && this.#exchange === undefined) this.#finishConnection();
  }

  // --- endings ---

  #finishExchange(exchange: Exchange): void {
    exchange.bytesReceived = this.#reader.bodyOctets;
    exchange.bytesSent = this.#writer.octets;
    this.#exchange = undefined;
    this.#response = undefined;
    exchange.finish(this.#options.clock.monotonic());
  }

  /** Something in the bytes is not HTTP/1.1: answers when it still can, and ends the connection. */
  #violated(cause: MeshError): void {
    const exchange = this.#exchange;
    if (exchange === undefined) this.#reject(cause);
    else this.#cancel(exchange, cause);
  }

  /** Answers what did not become a request, and ends the connection. */
  #reject(cause: MeshError): void {
    const { downstream, onRejected, clock } = this.#options;
    const { method, path } = this.#reader.refusedLine;
    const exchange = new Exchange({
      downstream,
      protocol: "HTTP/1.1",
      startedAt: this.#headStartedAt,
      method,
      scheme: downstream.scheme,
      authority: "",
      path,
      headers: new HeaderList(),
      body: Body.empty(),
      upgrade: undefined,
      expectsContinue: false,
    });
    if (onRejected !== undefined) exchange.onFinish(onRejected);
    this.#isLast = true;
    this.#isDeaf = true;
    this.#exchange = exchange;
    this.#timeouts.touch(clock.monotonic());
    this.#respond(localReply(exchange, cause));
  }

  /** Gives the request under way up for a reason that its client shall still read, if nothing was answered yet. */
  #cancel(exchange: Exchange, cause: MeshError): void {
    if (this.#response !== undefined) {
      this.#abort(cause);
      return;
    }
    this.#isLast = true;
    this.#isDeaf = true;
    const now = this.#options.clock.monotonic();
    this.#timeouts.within(cancelGraceMs, now);
    this.#reader.fail(cause);
    exchange.cancel(cause);
  }

  /** Breaks off a request whose answer can't be (or no longer) completed. */
  #abort = (cause: MeshError): void => {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    noteCause(exchange, cause);
    this.#socket.destroy();
    this.#giveUp(exchange, cause);
  };

  #giveUp(exchange: Exchange, cause: MeshError): void {
    const response = this.#response;
    this.#writer.abandon();
    if (response === undefined) exchange.cancel(cause);
    else {
      exchange.whenCancelled(undefined);
      response.body.cancel(cause);
    }
    this.#reader.fail(cause);
    this.#finishExchange(exchange);
  }

  /** FIN from the client. Between messages it ends the connection; after a request it only says that no more will follow. */
  #ended(): void {
    this.#clientEnded = true;
    if (this.#phase !== "open") return;
    const exchange = this.#exchange;
    if (!this.#reader.finish()) this.#abort(meshError("downstream_closed", "downstream_remote_disconnect"));
    else if (exchange === undefined && (this.#reader.isMidHead || !this.#reader.holdsBytes)) {
      this.#finishConnection();
    }
  }

  #closed(): void {
    if (this.#phase === "closed") return;
    const exchange = this.#exchange;
    this.#phase = "closed";
    this.#timeouts.stop();
    if (exchange !== undefined) {
      if (this.#response?.status === 101 && this.#response.body.isComplete) this.#finishExchange(exchange);
      else {
        const cause = meshError("downstream_closed", "downstream_remote_disconnect");
        noteCause(exchange, cause);
        this.#giveUp(exchange, cause);
      }
    }
    this.onClose?.();
  }

  /** Sends FIN behind what was written and reads on for a moment, so that no reset overtakes the answer. */
  #finishConnection(): void {
    if (this.#phase !== "open") return;
    this.#phase = "lingering";
    this.#writer.flush();
    this.#socket.end();
    if (this.#isPaused) this.#resume();
    if (this.#socket.writableLength === 0) this.#linger();
    else {
      // What a slow client has not taken yet is still ours to deliver.
      this.#timeouts.touch(this.#options.clock.monotonic());
      this.#socket.once("finish", this.#linger);
    }
  }

  #linger = (): void => {
    this.#lingersUntil = this.#options.clock.monotonic() + longestLingerMs;
    this.#lingerOn();
  };

  #lingerOn(): void {
    const now = this.#options.clock.monotonic();
    if (this.#phase === "lingering" && now < this.#lingersUntil)
      this.#timeouts.within(Math.min(lingerMs, this.#lingersUntil - now), now);
  }

  #expire(): void {
    const exchange = this.#exchange;
    if (this.#phase !== "open" || exchange?.cancelCause !== undefined) this.#socket.destroy();
    else if (exchange === undefined) {
      if (this.#reader.isMidHead) this.#reject(meshError("request_header_timeout", "request_header_timeout"));
      else this.#finishConnection();
    } else this.#cancel(exchange, this.#timeouts.cause(this.#reader.isComplete));
  }
}

function noteCause(exchange: Exchange, cause: MeshError): void {
  exchange.addFlag(cause.entry.flag);
  exchange.errorCode ??= cause.code;
  exchange.detail = cause.detail === "" ? cause.code : cause.detail;
}
