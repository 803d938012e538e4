import type { MeshError } from "../../errors.ts";
import { Body } from "../body.ts";
import type { HttpServerSettings } from "../http-server.ts";
import { BodyReader } from "./body-reader.ts";
import { CR, LF } from "./octets.ts";
import type { RequestHead } from "./request-head.ts";
import { parseRequestHead } from "./request-head.ts";

/** What the owner of a RequestReader must know. */
export interface RequestReaderEvents {
  /** A request arrived, with whatever part of its body is at hand already pushed. The next one waits for `next()`. */
  requestRead(head: RequestHead, body: Body): void;
  /** The body asks for more; the socket may be read again. */
  bodyResumed(): void;
  /** Nobody wants the rest of the body. */
  bodyCancelled(): void;
}

/**
 * A connection's bytes → requests, one at a time. What follows the request under way stays unparsed, so a pipeline
 * costs the bytes of one read. Throws MeshError when the bytes are not HTTP/1.1; nothing may be fed after that.
 */
export class RequestReader {
  readonly #settings: HttpServerSettings;
  readonly #events: RequestReaderEvents;
  readonly #bodyReader = new BodyReader();
  #body: Body | undefined = undefined;
  /** Whether a request was read that `next()` has not released yet. */
  #isBusy = false;
  #isTunnel = false;
  /** Bytes not taken yet: part of a head, or what follows the request under way. */
  #held: Buffer | undefined = undefined;
  /** How many held bytes of a partial head were scanned in vain. */
  #scanned = 0;
  #skippedEmptyLine = false;
  #refused: Buffer | undefined = undefined;

  constructor(settings: HttpServerSettings, events: RequestReaderEvents) {
    this.#settings = settings;
    this.#events = events;
  }

  /** The request under way has been read to its end. Tunnels never are. */
  get isComplete(): boolean {
    return this.#bodyReader.isComplete;
  }

  /** Some bytes of a head are here, but not all. */
  get isMidHead(): boolean {
    return !this.#isBusy && this.#held !== undefined;
  }

  /** Bytes behind the request under way are here. */
  get holdsBytes(): boolean {
    return this.#held !== undefined;
  }

  /** The socket should rest: bytes are waiting, or the body is not being consumed. */
  get isBlocked(): boolean {
    return this.#isBusy && (this.#held !== undefined || !this.#bodyReader.wantsMore);
  }

  /** Method and target of a request that was refused, as far as they can be made out: for the access log only. */
  get refusedLine(): { method: string; path: string } {
    const line = /^(?:\r\n)?([!-~]{1,24}) ([!-~]{1,1024})/.exec(
      this.#refused?.toString("latin1", 0, 1_100) ?? "",
    );
    return { method: line?.[1] ?? "", path: line?.[2] ?? "" };
  }

  get bodyOctets(): number {
    return this.#bodyReader.octets;
  }

  /** Takes the bytes of one read. Throws MeshError when they are not HTTP/1.1. */
  feed(chunk: Buffer): void {
    if (this.#isBusy) {
      if (this.#bodyReader.isComplete) this.#hold(chunk, 0);
      else this.#readBody(chunk, 0);
    } else if (this.#held === undefined) this.#readHead(chunk);
    else this.#feedPartialHead(chunk);
  }

  /** The request under way is answered: goes on with the bytes that wait, if any. */
  next(): void {
    this.#isBusy = false;
    this.#body = undefined;
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    this.#readHead(held);
  }

  /** The answer to an upgrade was not 101: the request has no body after all, early bytes are forgotten. Returns whether there were any. */
  refuseTunnel(): boolean {
    this.#isTunnel = false;
    this.#body?.end();
    const hadBytes = this.#bodyReader.octets > 0;
    this.#bodyReader.isComplete = true;
    return hadBytes;
  }

  /** The client sent FIN. True when that is a proper end: between messages, or of a tunnel. */
  finish(): boolean {
    if (!this.#isBusy) return true;
    if (this.#isTunnel) {
      this.#bodyReader.isComplete = true;
      this.#body?.end();
    }
    return this.#bodyReader.isComplete;
  }

  /** Breaks the body under way off. */
  fail(cause: MeshError): void {
    this.#body?.fail(cause);
  }

  #hold(bytes: Buffer, from: number): void {
    const rest = from === 0 ? bytes : bytes.subarray(from);
    this.#held = this.#held === undefined ? rest : Buffer.concat([this.#held, rest]);
  }

  /** A head that comes in pieces is looked at again only when a line ended or its size doubled, so that drips stay cheap. */
  #feedPartialHead(chunk: Buffer): void {
    const held = Buffer.concat([this.#held!, chunk]);
    this.#held = held;
    const isWorthALook =
      chunk.includes(LF) || held.length >= this.#scanned * 2 || held.length > this.#settings.maxHeaderBytes;
    if (!isWorthALook) return;
    this.#held = undefined;
    this.#readHead(held);
  }

  #readHead(bytes: Buffer): void {
    try {
      this.#takeHead(bytes);
    } catch (thrown) {
      this.#refused = bytes;
      throw thrown;
    }
  }

  #takeHead(bytes: Buffer): void {
    let start = 0;
    // RFC 9112 2.2: one empty line before a request is forgiven.
    if (bytes[0] === CR && !this.#skippedEmptyLine) {
      if (bytes.length === 1) {
        this.#keepPartial(bytes);
        return;
      }
      if (bytes[1] === LF) {
        this.#skippedEmptyLine = true;
        start = 2;
        if (bytes.length === 2) return;
      }
    }
    const head = parseRequestHead(bytes, start, bytes.length, this.#settings);
    if (head === undefined) {
      this.#keepPartial(start === 0 ? bytes : bytes.subarray(start));
      return;
    }
    this.#skippedEmptyLine = false;
    this.#scanned = 0;
    this.#isBusy = true;
    this.#isTunnel = head.upgrade !== undefined;
    const framing = this.#isTunnel ? "tunnel" : head.framing;
    const body = framing === 0 ? Body.empty() : new Body(typeof framing === "number" ? framing : undefined);
    this.#body = body;
    this.#bodyReader.begin(framing, body);
    if (framing === 0) {
      if (head.end < bytes.length) this.#hold(bytes, head.end);
    } else {
      body.onResume = this.#resume;
      body.onCancel = this.#cancel;
      this.#readBody(bytes, head.end);
    }
    this.#events.requestRead(head, body);
  }

  #readBody(bytes: Buffer, from: number): void {
    const position = this.#bodyReader.read(bytes, from, bytes.length);
    if (!this.#bodyReader.isComplete) return;
    this.#body!.end(this.#bodyReader.trailers);
    if (position < bytes.length) this.#hold(bytes, position);
  }

  #keepPartial(bytes: Buffer): void {
    this.#held = bytes;
    this.#scanned = bytes.length;
  }

  #resume = (): void => {
    this.#bodyReader.wantsMore = true;
    this.#events.bodyResumed();
  };

  #cancel = (): void => {
    this.#bodyReader.wantsMore = true;
    this.#events.bodyCancelled();
  };
}
