import type { Body } from "../body.ts";
import type { HeaderList } from "../header-list.ts";
import { ChunkedDecoder } from "./chunked-decoder.ts";
import type { Framing } from "./framing.ts";

/**
 * Cuts one message body out of a connection's bytes and pushes it on a Body. One per connection, used again for each message.
 * It does not end the Body: the caller does, once it knows that nothing wrong follows the message.
 */
export class BodyReader {
  /** True when the whole message has been read; true before the first. */
  isComplete = true;
  /** False after the body refused more; set by the caller when it resumes. */
  wantsMore = true;
  /** Body octets pushed. */
  octets = 0;

  #body: Body | undefined = undefined;
  /** Octets to come; Infinity until the connection ends. Unused while chunked. */
  #remaining = 0;
  #isChunked = false;
  #decoder: ChunkedDecoder | undefined = undefined;

  get trailers(): HeaderList | undefined {
    return this.#isChunked ? this.#decoder?.trailers : undefined;
  }

  /** True when the end of the connection is the end of the body. */
  get endsWithConnection(): boolean {
    return !this.#isChunked && this.#remaining === Number.POSITIVE_INFINITY;
  }

  begin(framing: Framing, body: Body): void {
    this.#body = body;
    this.wantsMore = true;
    this.octets = 0;
    this.#isChunked = framing === "chunked";
    if (this.#isChunked) {
      this.#decoder ??= new ChunkedDecoder();
      this.#decoder.reset();
    } else this.#remaining = typeof framing === "number" ? framing : Number.POSITIVE_INFINITY;
    this.isComplete = framing === 0;
  }

  /** Takes what belongs to the body from `start` on and returns the position behind it. Throws MeshError `bad_request`. */
  read(bytes: Buffer, start: number, end: number): number {
    const body = this.#body!;
    if (this.#isChunked) {
      const decoder = this.#decoder!;
      const position = decoder.decode(bytes, start, end, body);
      this.octets = decoder.octets;
      if (!decoder.wantsMore) {
        decoder.wantsMore = true;
        this.wantsMore = false;
      }
      this.isComplete = decoder.isDone;
      return position;
    }
    if (start === end) return end;
    const stop = Math.min(end, start + this.#remaining);
    this.#remaining -= stop - start;
    this.octets += stop - start;
    if (!body.push(start === 0 && stop === bytes.length ? bytes : bytes.subarray(start, stop)))
      this.wantsMore = false;
    this.isComplete = this.#remaining === 0;
    return stop;
  }
}
