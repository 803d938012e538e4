import type { MeshError } from "../errors.ts";
import { Body } from "./body.ts";
import type { HeaderList } from "./header-list.ts";

/**
 * Gives the same body to one attempt after another, from its first byte, as long as what has been read fits in `limitBytes`.
 * Only the latest attempt is fed; between attempts the source is paused. The user says when no attempt will follow (`release`):
 * from then on nothing is kept, and an attempt that does not want the rest cancels the source.
 */
export class BodyReplay {
  readonly #source: Body;
  readonly #limitBytes: number;
  #kept: Buffer[] = [];
  #keptBytes = 0;
  #isWhole = true;
  #isPiped = false;
  #isReleased = false;
  #attempt: Body | undefined;
  /** The current attempt has a consumer and got all that was kept. */
  #isLive = false;
  #outcome: ((attempt: Body) => void) | undefined;
  #unwanted: { readonly cause: MeshError | undefined } | undefined;

  /** `source`: piped by nobody yet. */
  constructor(source: Body, limitBytes: number) {
    this.#source = source;
    this.#limitBytes = limitBytes;
  }

  /** True while another attempt can have the whole body. */
  get canReplay(): boolean {
    return this.#isWhole && !this.#isReleased;
  }

  /** A fresh body for the next attempt; the one before gets nothing more. Only while `canReplay`. */
  next(): Body {
    const attempt = new Body(this.#source.length);
    this.#attempt = attempt;
    this.#isLive = false;
    this.#unwanted = undefined;
    attempt.onResume = () => {
      if (this.#attempt === attempt) this.#flow(attempt);
    };
    attempt.onCancel = (cause) => {
      if (this.#attempt === attempt) this.#giveUp(cause);
    };
    return attempt;
  }

  /** No attempt will follow the current one. */
  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    if (this.#isLive) this.#kept = [];
    if (this.#unwanted !== undefined) this.#source.cancel(this.#unwanted.cause);
  }

  #flow(attempt: Body): void {
    if (this.#isLive) {
      this.#source.resume();
      return;
    }
    this.#isLive = true;
    let wantsMore = true;
    for (const chunk of this.#kept) wantsMore = attempt.push(chunk);
    this.#keepNoMoreThanAllowed();
    if (this.#outcome !== undefined) this.#outcome(attempt);
    else if (!this.#isPiped) this.#pipe();
    else if (wantsMore) this.#source.resume();
  }

  #pipe(): void {
    this.#isPiped = true;
    this.#source.pipe({
      data: (chunk) => this.#take(chunk),
      end: (trailers: HeaderList | undefined) => this.#settle((attempt) => attempt.end(trailers)),
      fail: (cause) => this.#settle((attempt) => attempt.fail(cause)),
    });
  }

  #take(chunk: Buffer): boolean {
    if (this.#isWhole && !(this.#isReleased && this.#isLive)) {
      this.#kept.push(chunk);
      this.#keptBytes += chunk.length;
    }
    if (!this.#isLive) return false;
    const wantsMore = this.#attempt!.push(chunk);
    this.#keepNoMoreThanAllowed();
    return wantsMore && this.#isLive;
  }

  #settle(outcome: (attempt: Body) => void): void {
    this.#outcome = outcome;
    if (this.#isLive) outcome(this.#attempt!);
  }

  #giveUp(cause: MeshError | undefined): void {
    this.#isLive = false;
    this.#unwanted = { cause };
    if (this.#isReleased) this.#source.cancel(cause);
  }

  /** Only once the current attempt has everything may the kept bytes go: before, they are its only copy. */
  #keepNoMoreThanAllowed(): void {
    if (!this.#isReleased && this.#keptBytes <= this.#limitBytes) return;
    if (!this.#isReleased) this.#isWhole = false;
    this.#kept = [];
  }
}
