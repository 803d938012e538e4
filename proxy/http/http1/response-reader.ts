import type { MeshError } from "../../errors.ts";
import { meshError } from "../../errors.ts";
import { Body } from "../body.ts";
import { BodyReader } from "./body-reader.ts";
import { LF } from "./octets.ts";
import type { ResponseHead, ResponseHeadLimits } from "./response-head.ts";
import { parseResponseHead } from "./response-head.ts";

/** What the owner of a ResponseReader must know. */
export interface ResponseReaderEvents {
  /** A 1xx other than 101. */
  interimRead(head: ResponseHead): void;
  /** The final head, with whatever part of the body is at hand already pushed. When all of it is, `isComplete` is true already. */
  responseRead(head: ResponseHead, body: Body): void;
  /** The rest of a body that was not complete with its head is read. */
  responseCompleted(): void;
  bodyResumed(): void;
  bodyCancelled(cause: MeshError | undefined): void;
}

/** A server that sends more interim responses than this is not worth waiting for. */
const maxInterim = 32;

/**
 * A connection's bytes → the response to one request at a time. Throws MeshError when the bytes are not HTTP/1.1, or when there
 * are more of them than the message has; nothing may be fed after that.
 */
export class ResponseReader {
  readonly #limits: ResponseHeadLimits;
  readonly #events: ResponseReaderEvents;
  readonly #bodyReader = new BodyReader();
  #body: Body | undefined = undefined;
  #state: "idle" | "head" | "body" = "idle";
  #toHead = false;
  #held: Buffer | undefined = undefined;
  #scanned = 0;
  #interim = 0;
  /** The first byte of the response under way has been read. */
  hasBytes = false;

  constructor(limits: ResponseHeadLimits, events: ResponseReaderEvents) {
    this.#limits = limits;
    this.#events = events;
  }

  /** Nothing is awaited: any byte that comes now belongs to no request. */
  get isComplete(): boolean {
    return this.#state === "idle";
  }

  /** The socket should rest, because nobody takes the body. */
  get isBlocked(): boolean {
    return this.#state === "body" && !this.#bodyReader.wantsMore;
  }

  /** A request went out; `toHead` says that it was HEAD. */
  expect(toHead: boolean): void {
    this.#state = "head";
    this.#toHead = toHead;
    this.#interim = 0;
    this.hasBytes = false;
  }

  feed(chunk: Buffer): void {
    if (this.#state === "body") this.#readBody(chunk, 0);
    else if (this.#state === "idle") throw meshError("bad_request", "http1.unexpected_bytes");
    else if (this.#held === undefined) this.#readHead(chunk);
    else this.#feedPartialHead(chunk);
  }

  /** The server sent FIN. True when that ends the response properly. */
  finish(): boolean {
    if (this.#state === "idle") return true;
    if (this.#state === "head" || !this.#bodyReader.endsWithConnection) return false;
    this.#state = "idle";
    this.#body!.end();
    return true;
  }

  /** Breaks the body under way off. */
  fail(cause: MeshError): void {
    this.#body?.fail(cause);
    this.#body = undefined;
  }

  #feedPartialHead(chunk: Buffer): void {
    const held = Buffer.concat([this.#held!, chunk]);
    this.#held = held;
    const isWorthALook =
      chunk.includes(LF) || held.length >= this.#scanned * 2 || held.length > this.#limits.maxHeaderBytes;
    if (!isWorthALook) return;
    this.#held = undefined;
    this.#readHead(held);
  }

  #readHead(bytes: Buffer): void {
    this.hasBytes = true;
    let start = 0;
    while (start < bytes.length) {
      const head = parseResponseHead(bytes, start, bytes.length, this.#toHead, this.#limits);
      if (head === undefined) {
        this.#held = start === 0 ? bytes : bytes.subarray(start);
        this.#scanned = this.#held.length;
        return;
      }
      start = head.end;
      if (head.status >= 200 || head.status === 101) {
        this.#beginBody(head, bytes);
        return;
      }
      if (++this.#interim > maxInterim) throw meshError("bad_request", "http1.too_many_interim_responses");
      this.#events.interimRead(head);
    }
  }

  #beginBody(head: ResponseHead, bytes: Buffer): void {
    const { framing } = head;
    const body = framing === 0 ? Body.empty() : new Body(typeof framing === "number" ? framing : undefined);
    this.#bodyReader.begin(framing, body);
    if (framing === 0) {
      if (head.end < bytes.length) throw meshError("bad_request", "http1.bytes_behind_message");
      this.#state = "idle";
    } else {
      body.onResume = this.#resume;
      body.onCancel = this.#cancel;
      this.#body = body;
      this.#state = "body";
      this.#takeBody(bytes, head.end);
    }
    this.#events.responseRead(head, body);
  }

  #readBody(bytes: Buffer, from: number): void {
    this.#takeBody(bytes, from);
    if (this.#state === "idle") this.#events.responseCompleted();
  }

  #takeBody(bytes: Buffer, from: number): void {
    const position = this.#bodyReader.read(bytes, from, bytes.length);
    if (!this.#bodyReader.isComplete) return;
    if (position < bytes.length) throw meshError("bad_request", "http1.bytes_behind_message");
    this.#state = "idle";
    const body = this.#body!;
    this.#body = undefined;
    body.end(this.#bodyReader.trailers);
  }

  #resume = (): void => {
    this.#bodyReader.wantsMore = true;
    this.#events.bodyResumed();
  };

  #cancel = (cause: MeshError | undefined): void => {
    this.#events.bodyCancelled(cause);
  };
}
