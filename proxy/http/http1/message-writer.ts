import type { Socket } from "node:net";
import type { MeshError } from "../../errors.ts";
import { meshError } from "../../errors.ts";
import type { Body, BodySink } from "../body.ts";
import type { HeaderList } from "../header-list.ts";
import type { Framing } from "./framing.ts";
import { lastChunk } from "./head-writer.ts";

/** Body pieces up to this size travel in one string with the head; larger ones go to the socket as they are. */
const inlineOctets = 8 * 1024;
/** Text beyond this is written at once even while a batch is open. */
const batchOctets = 32 * 1024;

/** What its owner hears about the message under way. Exactly one of the last two, once per message. */
export interface MessageWriterEvents {
  /** A piece of the body that was not at hand with the head went out. */
  messageProgressed(): void;
  /** The last octet was handed to the socket. */
  messageWritten(trailers: HeaderList | undefined): void;
  /** The body broke off. `headSent` is false when not one octet of the message went out. */
  messageBroken(cause: MeshError, headSent: boolean): void;
}

/**
 * Writes messages on one socket, one after the other: head and small body in one write, chunks framed, the body's
 * producer held back while the socket is full. One per connection, used again for each message.
 */
export class MessageWriter implements BodySink {
  /** Body octets of the message under way, without chunk framing. */
  octets = 0;
  /** True while more messages will follow in this turn: they then share one write. */
  batching = false;

  readonly #socket: Socket;
  readonly #events: MessageWriterEvents;
  #text = "";
  /** Length of #text that belongs to messages before this one. */
  #textBefore = 0;
  #body: Body | undefined = undefined;
  #framing: Framing = 0;
  #isGathering = false;
  #isFlushScheduled = false;
  #isCorked = false;
  #headSent = false;

  constructor(socket: Socket, events: MessageWriterEvents) {
    this.#socket = socket;
    this.#events = events;
    socket.on("drain", () => this.#body?.resume());
  }

  /** The head and whatever part of the body is at hand leave in one write. `framing` 0 writes no body. */
  write(head: string, body: Body, framing: Framing): void {
    this.#textBefore = this.#text.length;
    this.#text += head;
    this.#headSent = false;
    this.octets = 0;
    if (framing === 0) {
      this.#finish(undefined);
      return;
    }
    this.#framing = framing;
    this.#body = body;
    this.#isGathering = true;
    body.pipe(this);
    this.#isGathering = false;
    if (this.#body !== undefined) this.flush();
  }

  /** Writes the head of an upgrade request alone; `tunnel` sends the rest once the switch is agreed. */
  writeHead(head: string): void {
    this.#text += head;
    this.flush();
  }

  tunnel(body: Body): void {
    this.write("", body, "tunnel");
  }

  /** Forgets the message under way; its body is no longer listened to. */
  abandon(): void {
    this.#body = undefined;
  }

  flush = (): void => {
    this.#isFlushScheduled = false;
    if (this.#text === "") return;
    const text = this.#text;
    this.#text = "";
    this.#textBefore = 0;
    this.#headSent = true;
    this.#socket.write(text, "latin1");
  };

  // --- BodySink ---

  data(chunk: Buffer): boolean {
    if (this.#body === undefined) return true;
    const length = chunk.length;
    if (length === 0) return true;
    this.octets += length;
    if (!this.#isGathering) this.#events.messageProgressed();
    const framing = this.#framing;
    if (typeof framing === "number" && this.octets > framing) {
      this.#break(meshError("internal", "http1.body_longer_than_declared"));
      return true;
    }
    if (length <= inlineOctets) {
      const text = chunk.toString("latin1", 0, length);
      this.#text += framing === "chunked" ? `${length.toString(16)}\r\n${text}\r\n` : text;
      if (this.#isGathering) return true;
      if (this.#text.length > batchOctets) this.flush();
      else this.#flushSoon();
      return !this.#socket.writableNeedDrain;
    }
    this.#cork();
    if (framing === "chunked") this.#text += `${length.toString(16)}\r\n`;
    this.flush();
    const wantsMore = this.#socket.write(chunk);
    if (framing === "chunked") this.#text = "\r\n";
    if (this.#text !== "") this.#flushSoon();
    return wantsMore;
  }

  end(trailers: HeaderList | undefined): void {
    if (this.#body === undefined) return;
    if (this.#framing === "chunked") this.#text += lastChunk(trailers);
    else if (typeof this.#framing === "number" && this.octets < this.#framing) {
      this.#break(meshError("internal", "http1.body_shorter_than_declared"));
      return;
    }
    this.#finish(trailers);
  }

  fail(cause: MeshError): void {
    if (this.#body !== undefined) this.#break(cause);
  }

  #finish(trailers: HeaderList | undefined): void {
    this.#body = undefined;
    if (this.batching && this.#text.length < batchOctets) this.#flushSoon();
    else this.flush();
    this.#events.messageWritten(trailers);
  }

  #break(cause: MeshError): void {
    this.#body = undefined;
    if (!this.#headSent) this.#text = this.#text.slice(0, this.#textBefore);
    this.#events.messageBroken(cause, this.#headSent);
  }

  #flushSoon(): void {
    if (this.#isFlushScheduled) return;
    this.#isFlushScheduled = true;
    process.nextTick(this.flush);
  }

  /** Large pieces and their framing of one turn leave in one gathering write. */
  #cork(): void {
    if (this.#isCorked) return;
    this.#isCorked = true;
    this.#socket.cork();
    process.nextTick(() => {
      this.#isCorked = false;
      if (this.#text !== "") this.flush();
      this.#socket.uncork();
    });
  }
}
