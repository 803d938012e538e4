import type { MeshError } from "../../errors.ts";
import { meshError } from "../../errors.ts";
import { Body } from "../body.ts";
import type { Exchange, Response } from "../exchange.ts";
import { HeaderList } from "../header-list.ts";
import { ErrorCode, errorName, Flag, Http2Error } from "./frame.ts";
import type { FieldBlock } from "./hpack/decoder.ts";
import { readResponse } from "./response-fields.ts";
import type { Session } from "./session.ts";
import { Http2Stream } from "./stream.ts";
import { takeWebSocketKey, webSocketAccept } from "./websocket.ts";

/** A server that sends more interim responses than this is not worth waiting for. */
const maxInterim = 32;

/** RFC 9110 9.2.2. */
const idempotentMethods: ReadonlySet<string> = new Set([
  "GET",
  "HEAD",
  "OPTIONS",
  "TRACE",
  "PUT",
  "DELETE",
  "QUERY",
  "SEARCH",
]);

/** One request that goes out and its answer, on an upstream connection. */
export class ClientStream extends Http2Stream {
  readonly #exchange: Exchange;
  readonly #startedAt: number;
  readonly #isTunnel: boolean;
  readonly #toHead: boolean;
  #resolve: ((response: Response) => void) | undefined = undefined;
  #reject: ((cause: MeshError) => void) | undefined = undefined;
  #webSocketKey: string | undefined = undefined;
  #interim = 0;
  override awaitsHead = true;

  /** `now`: monotonic ms. */
  constructor(id: number, session: Session, exchange: Exchange, now: number) {
    super(id, session);
    this.#startedAt = now;
    this.#exchange = exchange;
    this.#isTunnel = exchange.upgrade !== undefined;
    this.#toHead = exchange.method === "HEAD";
  }

  /** Writes the request and what is at hand of its body; answers with the response head. */
  start(): Promise<Response> {
    const exchange = this.#exchange;
    const answered = new Promise<Response>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // The session may carry others by the time this one is cancelled.
    exchange.whenCancelled((cause) => this.#break(cause, ErrorCode.cancel));
    // It may have been cancelled before: then nothing must be written.
    if (this.isGone) return answered;
    const { body, headers } = exchange;
    const ends = !this.#isTunnel && body.length === 0;
    if (exchange.upgrade === "websocket") this.#webSocketKey = takeWebSocketKey(headers);
    const allowed = this.#isTunnel || body.length === undefined ? "" : String(body.length);
    const flags = ends ? Flag.endStream : 0;
    this.wrote(this.session.writeHeaders(this.id, flags, requestPseudo(exchange), headers.raw, allowed));
    if (ends) this.finishedWithHead();
    // A tunnel's bytes are held until the server agrees to it (case 13 of the threat list).
    else if (!this.#isTunnel) this.send(body);
    return answered;
  }

  // --- the response ---

  protected touched(): void {}

  headersRead(block: FieldBlock, endsStream: boolean): void {
    if (!this.awaitsHead) {
      this.readTrailers(block, endsStream);
      return;
    }
    const head = readResponse(block, this.id);
    const { status } = head;
    if (status < 200) {
      if (endsStream || ++this.#interim > maxInterim)
        throw new Http2Error(ErrorCode.protocolError, "http2.invalid_interim_response", this.id);
      this.#exchange.inform(status, new HeaderList(head.fields));
      return;
    }
    this.awaitsHead = false;
    const headers = new HeaderList(head.fields);
    const isBodiless = this.#toHead || status === 204 || status === 304;
    if (endsStream && !isBodiless && head.contentLength > 0)
      throw new Http2Error(ErrorCode.protocolError, "http2.body_shorter_than_announced", this.id);
    const isAgreed = this.#isTunnel && status < 300;
    if (this.#isTunnel) this.#settleTunnel(isAgreed, headers);
    let body: Body;
    if (endsStream) body = Body.empty();
    else if (isAgreed) body = this.beginIncoming(-1);
    else body = this.beginIncoming(isBodiless ? 0 : head.contentLength);
    const resolve = this.#resolve!;
    this.#resolve = undefined;
    this.#reject = undefined;
    resolve({ status: isAgreed ? 101 : status, reason: head.reason, headers, body });
    if (endsStream) this.endIncoming(undefined);
    if (isAgreed && !this.isGone) this.send(this.#exchange.body);
  }

  #settleTunnel(isAgreed: boolean, headers: HeaderList): void {
    if (!isAgreed) {
      // Nothing of the tunnel is sent: the stream ends with the answer.
      this.#exchange.body.cancel();
      return;
    }
    if (this.#webSocketKey !== undefined)
      headers.set("sec-websocket-accept", webSocketAccept(this.#webSocketKey));
  }

  protected remoteEnded(): void {
    if (this.isLocalClosed || (this.#isTunnel && this.outgoing !== undefined)) return;
    // The answer is complete before the request: the rest is not sent.
    const { outgoing } = this;
    this.outgoing = undefined;
    this.reset(ErrorCode.cancel);
    outgoing?.cancel();
  }

  protected messageSent(): void {}

  protected messageBroken(cause: MeshError): void {
    this.#break(cause, ErrorCode.cancel);
  }

  protected incomingCancelled(cause: MeshError | undefined): void {
    if (this.isGone) return;
    this.#break(cause ?? meshError("downstream_closed"), ErrorCode.cancel);
  }

  // --- endings ---

  resetByPeer(code: number): void {
    if (code === ErrorCode.refusedStream && this.awaitsHead)
      this.#end(meshError("reset_before_request", "http2.refused_stream"));
    else this.#end(meshError("upstream_reset", `http2.reset_${errorName(code)}`));
  }

  broken(cause: MeshError): void {
    this.leave();
    this.#end(cause);
  }

  /** The connection went away. When it was idle before, and nothing has come since, the request and its end crossed on the way (RFC 9110 9.2.2). */
  lost(cause: MeshError, heardAt: number): void {
    const { method, body } = this.#exchange;
    const isHarmless =
      this.awaitsHead &&
      this.id > 1 &&
      heardAt < this.#startedAt &&
      body.length === 0 &&
      idempotentMethods.has(method);
    this.broken(isHarmless ? meshError("reset_before_request", "reset_of_idle_connection", cause) : cause);
  }

  #break(cause: MeshError, code: number): void {
    if (this.isGone) return;
    this.reset(code);
    this.#end(cause);
  }

  #end(cause: MeshError): void {
    const reject = this.#reject;
    this.#resolve = undefined;
    this.#reject = undefined;
    this.breakBodies(cause);
    reject?.(cause);
  }
}

/** Reused: written out before anybody else gets it. */
const pseudo = [":method", "", ":scheme", "", ":authority", "", ":path", ""];
const connectPseudo = [...pseudo, ":protocol", ""];

function requestPseudo(exchange: Exchange): readonly string[] {
  const fields = exchange.upgrade === undefined ? pseudo : connectPseudo;
  fields[1] = exchange.upgrade === undefined ? exchange.method : "CONNECT";
  fields[3] = exchange.scheme;
  fields[5] = exchange.authority;
  fields[7] = exchange.path;
  if (exchange.upgrade !== undefined) fields[9] = exchange.upgrade;
  return fields;
}
