import type { MeshError } from "../errors.ts";
import type { HeaderList } from "./header-list.ts";

/** Receives a body. `data` returns false when it wants no more until it calls `resume()` on the body it was piped from. */
export interface BodySink {
  data(chunk: Buffer): boolean;
  /** Called once, last. Trailers only when the sender sent some that may pass. */
  end(trailers: HeaderList | undefined): void;
  /** The body broke off: called once, instead of `end`. */
  fail(cause: MeshError): void;
}

/**
 * A stream of bytes from one producer (a codec) to one consumer, with back-pressure and without Node's streams.
 * Before a consumer pipes it, `push` keeps what it is given and returns false, so a producer that listens holds at most
 * the bytes of one read. Bytes are raw for an upgraded connection: a tunnel is a body in either direction.
 */
export class Body {
  /** Bytes to come, when the sender said so; undefined for chunked, until-close and tunnels. */
  readonly length: number | undefined;
  /** Producer's: called when a paused producer may push again. Also called when a consumer first pipes. */
  onResume: (() => void) | undefined = undefined;
  /** Producer's: called once when the consumer does not want the rest. */
  onCancel: ((cause: MeshError | undefined) => void) | undefined = undefined;

  #sink: BodySink | undefined = undefined;
  #pending: Buffer[] | undefined = undefined;
  #state: "open" | "ended" | "failed" | "cancelled" = "open";
  #trailers: HeaderList | undefined = undefined;
  #cause: MeshError | undefined = undefined;

  constructor(length: number | undefined) {
    this.length = length;
  }

  /** True once no more bytes will be pushed, whether or not anybody has read them. */
  get isComplete(): boolean {
    return this.#state !== "open";
  }

  /** True while nobody has piped it, so the request can still be sent elsewhere. */
  get isUntouched(): boolean {
    return this.#sink === undefined && this.#state !== "cancelled";
  }

  // --- producer ---

  /** Hands on bytes; false asks the producer to pause until `onResume`. Bytes after cancel are dropped. */
  push(chunk: Buffer): boolean {
    if (this.#state !== "open") return true;
    if (this.#sink !== undefined) return this.#sink.data(chunk);
    if (this.#pending === undefined) this.#pending = [chunk];
    else this.#pending.push(chunk);
    return false;
  }

  end(trailers?: HeaderList): void {
    if (this.#state !== "open") return;
    this.#state = "ended";
    if (this.#sink !== undefined) this.#sink.end(trailers);
    else this.#trailers = trailers;
  }

  fail(cause: MeshError): void {
    if (this.#state !== "open") return;
    this.#state = "failed";
    this.#pending = undefined;
    if (this.#sink !== undefined) this.#sink.fail(cause);
    else this.#cause = cause;
  }

  // --- consumer ---

  /** Starts the flow. What was pushed before arrives synchronously, followed by the end when it is known. Once only. */
  pipe(sink: BodySink): void {
    if (this.#sink !== undefined) throw new Error("body is already piped");
    this.#sink = sink;
    if (this.#state === "failed") {
      sink.fail(this.#cause!);
      return;
    }
    let wantsMore = true;
    const pending = this.#pending;
    if (pending !== undefined) {
      this.#pending = undefined;
      for (const chunk of pending) wantsMore = sink.data(chunk);
    }
    if (this.#state === "ended") sink.end(this.#trailers);
    else if (wantsMore) this.onResume?.();
  }

  /** The consumer is ready again after `data` returned false. */
  resume(): void {
    if (this.#state === "open") this.onResume?.();
  }

  /** The consumer does not want the rest. The sink hears nothing more. */
  cancel(cause?: MeshError): void {
    if (this.#state === "cancelled") return;
    const wasOpen = this.#state === "open";
    this.#state = "cancelled";
    this.#pending = undefined;
    if (wasOpen) this.onCancel?.(cause);
  }

  /** A body whose bytes are at hand. An empty buffer makes an empty body of length 0. */
  static of(bytes: Buffer): Body {
    const body = new Body(bytes.length);
    if (bytes.length > 0) body.push(bytes);
    body.end();
    return body;
  }

  /** No bytes. A new object each time, because a body is piped once. */
  static empty(): Body {
    const body = new Body(0);
    body.end();
    return body;
  }
}
