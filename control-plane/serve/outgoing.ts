/**
 * Bytes that were handed to streams and that their readers have not taken yet, over all streams. Without a bound a mesh's
 * worth of sidecars that start at once, or that hang, would each hold a whole picture of the mesh in memory.
 */
export class Outgoing {
  readonly #limitBytes: number;
  readonly #waiting = new Map<object, () => void>();
  #bytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get hasRoom(): boolean {
    return this.#bytes < this.#limitBytes;
  }

  /** One stream's part. */
  stream(): OutgoingStream {
    const sizes: number[] = [];
    let own = 0;
    const free = (bytes: number) => {
      own -= bytes;
      this.#bytes -= bytes;
      if (!this.hasRoom) return;
      const woken = [...this.#waiting.values()];
      this.#waiting.clear();
      for (const wake of woken) wake();
    };
    return {
      began: (bytes) => {
        sizes.push(bytes);
        own += bytes;
        this.#bytes += bytes;
      },
      taken: () => free(sizes.shift() ?? 0),
      closed: () => free(sizes.splice(0).reduce((sum, bytes) => sum + bytes, 0)),
      get bytes() {
        return own;
      },
      get isEmpty() {
        return sizes.length === 0;
      },
    };
  }

  /** It waits no more. */
  forget(owner: object): void {
    this.#waiting.delete(owner);
  }

  /** Calls once when there is room again, however often one owner asks. */
  whenRoom(owner: object, wake: () => void): void {
    this.#waiting.set(owner, wake);
  }
}

export interface OutgoingStream {
  began(bytes: number): void;
  /** The oldest that began is out. */
  taken(): void;
  /** Nothing of it will be taken any more. */
  closed(): void;
  readonly isEmpty: boolean;
  /** Of this stream alone. */
  readonly bytes: number;
}
