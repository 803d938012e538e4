import type { MeshError } from "../../errors.ts";
import { meshError, toMeshError } from "../../errors.ts";
import { Body } from "../body.ts";
import type { Response } from "../exchange.ts";
import { Exchange } from "../exchange.ts";
import { isGrpc } from "../grpc-status.ts";
import { HeaderList } from "../header-list.ts";
import type { Service } from "../layer.ts";
import { STATUS_CODES } from "../node-http.ts";
import { grpcErrorFields, localReply } from "../reply.ts";
import type { HttpServerOptions } from "../server-connection.ts";
import { ErrorCode, Flag } from "./frame.ts";
import type { FieldBlock } from "./hpack/decoder.ts";
import type { RequestFields } from "./request-fields.ts";
import type { Session } from "./session.ts";
import { Http2Stream } from "./stream.ts";
import { acceptedTunnel, webSocketRequest } from "./websocket.ts";

/** One request and its answer on a downstream connection. */
export class ServerStream extends Http2Stream {
  /** Monotonic ms when octets last moved either way. */
  touchedAt: number;
  readonly exchange: Exchange;
  readonly #options: HttpServerOptions;
  /** The answer under way, once its head went out. */
  #response: Response | undefined = undefined;

  constructor(
    id: number,
    session: Session,
    options: HttpServerOptions,
    request: RequestFields,
    endsStream: boolean,
    now: number,
  ) {
    super(id, session);
    this.#options = options;
    this.touchedAt = now;
    const { downstream } = options;
    const { upgrade } = request;
    const headers = new HeaderList(request.fields.slice());
    if (upgrade === "websocket") webSocketRequest(headers);
    this.isRemoteClosed = endsStream;
    this.exchange = new Exchange({
      downstream,
      protocol: session.carriesHttp1 ? "HTTP/1.1" : "HTTP/2",
      startedAt: now,
      method: request.method,
      scheme: downstream.scheme,
      authority: request.authority,
      path: request.path,
      headers,
      body: endsStream
        ? Body.empty()
        : this.beginIncoming(upgrade === undefined ? request.contentLength : -1),
      upgrade,
      expectsContinue: request.expectsContinue,
    });
    if (endsStream) this.exchange.requestCompleteAt = now;
  }

  /** Has the request answered. */
  answer(service: Service): void {
    this.exchange.onInformational = this.#inform;
    try {
      service(this.exchange).then(this.#respond, this.#refuse);
    } catch (thrown) {
      queueMicrotask(() => this.#refuse(thrown));
    }
  }

  /** Answers what did not become a request. */
  reject(cause: MeshError): void {
    this.#respond(localReply(this.exchange, cause));
  }

  /** Nothing has moved for too long. */
  expire(): void {
    const { exchange } = this;
    const cause = this.isRemoteClosed
      ? meshError("upstream_idle_timeout", "stream_idle_timeout")
      : meshError("request_idle_timeout", "stream_idle_timeout");
    this.#cancel(exchange.cancelCause ?? cause);
  }

  /** The whole request has not come in time. */
  expireRequest(): void {
    this.#cancel(meshError("request_header_timeout", "request_overall_timeout"));
  }

  #cancel(cause: MeshError): void {
    if (this.#response !== undefined || this.exchange.cancelCause !== undefined) this.#abort(cause);
    else {
      this.breakBodies(cause);
      this.exchange.cancel(cause);
    }
  }

  // --- the request ---

  protected touched(): void {
    const now = this.#options.clock.monotonic();
    this.touchedAt = now;
    // Kept up to date while the body comes in: the time-out filter tells a slow upload from one that stands still.
    if (!this.isRemoteClosed) this.exchange.bytesReceived = this.octetsReceived;
  }

  protected remoteEnded(): void {
    this.exchange.bytesReceived = this.octetsReceived;
    this.exchange.requestCompleteAt = this.#options.clock.monotonic();
  }

  headersRead(block: FieldBlock, endsStream: boolean): void {
    this.readTrailers(block, endsStream);
  }

  protected incomingCancelled(): void {
    // A tunnel whose upstream half is gone has nowhere to send to.
    if (this.#response?.status === 101) this.#abort(meshError("upstream_reset", "tunnel_closed"));
  }

  // --- the answer ---

  #respond = (response: Response): void => {
    const { exchange } = this;
    if (this.isGone || this.#response !== undefined || exchange.finishedAt !== 0) {
      response.body.cancel();
      return;
    }
    const { status, headers, body } = response;
    const isTunnel = status === 101;
    if (isTunnel ? exchange.upgrade === undefined : status < 200) {
      body.cancel();
      if (status === 0) this.#abort(exchange.cancelCause ?? meshError("downstream_closed"));
      else this.#refuse(meshError("internal", "http2.interim_status_as_final"));
      return;
    }
    const now = this.#options.clock.monotonic();
    this.touchedAt = now;
    this.#response = response;
    exchange.status = status;
    exchange.responseStartedAt = now;
    exchange.responseHeaders = headers;
    exchange.grpcStatus = headers.get("grpc-status");
    // A request that was given up (a time-out) still gets the answer that says so.
    exchange.whenCancelled(exchange.cancelCause === undefined ? this.#abort : undefined);
    if (isTunnel) {
      acceptedTunnel(headers);
      this.wrote(this.session.writeHeaders(this.id, 0, statusFields(200), headers.raw, noLength));
      this.send(body);
      return;
    }
    const isBodiless = exchange.method === "HEAD" || status === 204 || status === 304;
    const { length } = body;
    const ends = isBodiless || length === 0;
    // RFC 9110 8.6: no length in a 204; in a 304 and for HEAD it describes a body that is not sent.
    const allowed = !isBodiless
      ? length === undefined
        ? noLength
        : String(length)
      : status === 204
        ? noLength
        : undefined;
    const flags = ends ? Flag.endStream : 0;
    const { carriesHttp1 } = this.session;
    const pseudo = carriesHttp1 ? statusAndReason(status, response.reason) : statusFields(status);
    this.wrote(this.session.writeHeaders(this.id, flags, pseudo, headers.raw, allowed));
    if (ends) {
      body.cancel();
      this.finishedWithHead();
    } else this.send(body);
  };

  /** The service failed before it answered. */
  #refuse = (thrown: unknown): void => {
    if (this.isGone || this.#response !== undefined || this.exchange.finishedAt !== 0) return;
    this.#respond(localReply(this.exchange, toMeshError(thrown)));
  };

  #inform = (status: number, headers: HeaderList): void => {
    if (this.isGone || this.#response !== undefined) return;
    this.touchedAt = this.#options.clock.monotonic();
    this.session.writeHeaders(this.id, 0, statusFields(status), headers.raw, noLength);
  };

  protected messageSent(trailers: HeaderList | undefined): void {
    const { exchange } = this;
    if (trailers !== undefined) exchange.grpcStatus ??= trailers.get("grpc-status");
    if (this.#response?.status === 101 && !this.isRemoteClosed) return;
    this.session.earnReset();
    this.#finishExchange();
    if (this.isRemoteClosed) return;
    // RFC 9113 8.1: the client need not send the rest of a request that is answered.
    this.reset(ErrorCode.noError);
    this.breakBodies(meshError("downstream_closed", "response_complete"));
  }

  protected messageBroken(cause: MeshError): void {
    this.#abort(cause);
  }

  // --- endings ---

  #finishExchange(): void {
    const { exchange } = this;
    exchange.bytesReceived = this.octetsReceived;
    exchange.bytesSent = this.octetsSent;
    exchange.finish(this.#options.clock.monotonic());
  }

  /** Breaks off a request whose answer can't be (or no longer) completed. A gRPC client can still be told why. */
  #abort = (cause: MeshError): void => {
    const { exchange } = this;
    if (this.isGone || exchange.finishedAt !== 0) return;
    if (this.#response !== undefined && !this.isLocalClosed && cause.entry.http !== 0 && isGrpc(exchange)) {
      const trailers = new HeaderList(grpcErrorFields(cause));
      exchange.grpcStatus = trailers.get("grpc-status");
      this.session.writeTrailers(this.id, trailers);
      this.isLocalClosed = true;
      if (this.isRemoteClosed) this.leave();
      else this.reset(ErrorCode.noError);
    } else this.reset(ErrorCode.internalError);
    this.#giveUp(cause);
  };

  resetByPeer(): void {
    this.#giveUp(meshError("downstream_closed", "http2.remote_reset"));
  }

  broken(cause: MeshError): void {
    this.leave();
    this.#giveUp(cause);
  }

  #giveUp(cause: MeshError): void {
    const { exchange } = this;
    if (exchange.finishedAt !== 0) return;
    exchange.addFlag(cause.entry.flag);
    exchange.errorCode ??= cause.code;
    exchange.detail = cause.detail === "" ? cause.code : cause.detail;
    const response = this.#response;
    if (response === undefined) exchange.cancel(cause);
    else exchange.whenCancelled(undefined);
    this.breakBodies(cause);
    response?.body.cancel(cause);
    this.#finishExchange();
  }
}

/** No Content-Length passes. */
const noLength = "";

const statusPairs: string[][] = [];

/** With the phrase, where it is not what the other end would say anyway. */
function statusAndReason(status: number, reason: string): readonly string[] {
  if (reason === "" || reason === STATUS_CODES[status]) return statusFields(status);
  return [":status", String(status), ":reason", reason];
}

function statusFields(status: number): readonly string[] {
  const known = statusPairs[status];
  if (known !== undefined) return known;
  const made = [":status", String(status)];
  statusPairs[status] = made;
  return made;
}
