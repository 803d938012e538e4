import { meshError } from "../errors.ts";
import { Body } from "./body.ts";
import type { HeaderList } from "./header-list.ts";

/** One body that went in, two that come out. */
export interface BodyTee {
  /** Sets the pace: the source is read when and as fast as this one is. */
  readonly primary: Body;
  /** Gets the same bytes, and breaks off rather than hold the primary back. */
  readonly copy: Body;
}

/**
 * Divides a body that nobody has piped yet. The copy never slows, delays or fails the primary: what its consumer does not take in
 * time is kept up to `maxBehindBytes`, then the copy fails with `upstream_overflow` and `onDrop` is called once. When the
 * primary's consumer gives up, the source is cancelled and the copy fails.
 */
export function teeBody(source: Body, maxBehindBytes: number, onDrop: () => void): BodyTee {
  const primary = new Body(source.length);
  const copy = new CopyFeed(source.length, maxBehindBytes, onDrop);
  let isFlowing = false;
  primary.onCancel = (cause) => {
    source.cancel(cause);
    copy.fail();
  };
  primary.onResume = () => {
    if (isFlowing) {
      source.resume();
      return;
    }
    isFlowing = true;
    source.pipe({
      data(chunk) {
        const wantsMore = primary.push(chunk);
        copy.push(chunk);
        return wantsMore;
      },
      end(trailers) {
        primary.end(trailers);
        copy.end(trailers?.clone());
      },
      fail(cause) {
        primary.fail(cause);
        copy.fail();
      },
    });
  };
  return { primary, copy: copy.body };
}

/** Feeds the copy at its own pace from a bounded queue. */
class CopyFeed {
  readonly body: Body;
  readonly #maxBehindBytes: number;
  readonly #onDrop: () => void;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #isReady = false;
  #end: { readonly trailers: HeaderList | undefined } | undefined;

  constructor(length: number | undefined, maxBehindBytes: number, onDrop: () => void) {
    this.body = new Body(length);
    this.#maxBehindBytes = maxBehindBytes;
    this.#onDrop = onDrop;
    this.body.onResume = () => this.#flush();
    this.body.onCancel = () => this.#forget();
  }

  push(chunk: Buffer): void {
    if (this.body.isComplete) return;
    if (this.#isReady) {
      this.#isReady = this.body.push(chunk);
      return;
    }
    this.#queue.push(chunk);
    this.#queuedBytes += chunk.length;
    if (this.#queuedBytes <= this.#maxBehindBytes) return;
    this.fail();
    this.#onDrop();
  }

  end(trailers: HeaderList | undefined): void {
    this.#end = { trailers };
    if (this.#queue.length === 0) this.body.end(trailers);
  }

  fail(): void {
    this.#forget();
    this.body.fail(meshError("upstream_overflow", "mirror_body_dropped"));
  }

  #flush(): void {
    this.#isReady = true;
    while (this.#isReady && this.#queue.length > 0) {
      const chunk = this.#queue.shift()!;
      this.#queuedBytes -= chunk.length;
      this.#isReady = this.body.push(chunk);
    }
    if (this.#end !== undefined && this.#queue.length === 0) this.body.end(this.#end.trailers);
  }

  #forget(): void {
    this.#queue = [];
    this.#queuedBytes = 0;
  }
}
