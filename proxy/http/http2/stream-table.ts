/** What the table needs to know of a stream. */
interface Numbered {
  readonly id: number;
}

const firstSlots = 16;
/** Slots for each stream that is open, beyond which the table does not grow. */
const slotsPerStream = 8;

/**
 * The open streams of a connection by number. Not a Map: one that changes with each request is rebuilt every few of them, V8 leaves each old
 * table pointing to the next with what was in it, and so no stream would die young. (Measured: a third of the CPU went to collecting them.)
 * Numbers count up, so a slot for each by its last bits hardly ever holds two; a stream that outlives the round goes aside.
 */
export class StreamTable<Stream extends Numbered> {
  #slots: (Stream | undefined)[] = new Array<Stream | undefined>(firstSlots).fill(undefined);
  readonly #aside = new Map<number, Stream>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): Stream | undefined {
    const found = this.#slots[(id >>> 1) & (this.#slots.length - 1)];
    if (found !== undefined && found.id === id) return found;
    return this.#aside.size === 0 ? undefined : this.#aside.get(id);
  }

  /** Adds a stream whose number is not in the table. */
  add(stream: Stream): void {
    this.#size++;
    this.#place(stream);
  }

  delete(id: number): void {
    const slot = (id >>> 1) & (this.#slots.length - 1);
    if (this.#slots[slot]?.id === id) this.#slots[slot] = undefined;
    else if (!this.#aside.delete(id)) return;
    this.#size--;
  }

  /** All streams, as they are now: the table may change while they are looked at. */
  all(): readonly Stream[] {
    const all: Stream[] = [];
    for (const stream of this.#slots) if (stream !== undefined) all.push(stream);
    all.push(...this.#aside.values());
    return all;
  }

  #place(stream: Stream): void {
    const slot = (stream.id >>> 1) & (this.#slots.length - 1);
    const before = this.#slots[slot];
    if (before === undefined) this.#slots[slot] = stream;
    else if (this.#slots.length < this.#size * slotsPerStream) {
      this.#grow();
      this.#place(stream);
    } else {
      // The older of the two is the one that lives long.
      const [older, younger] = before.id < stream.id ? [before, stream] : [stream, before];
      this.#aside.set(older.id, older);
      this.#slots[slot] = younger;
    }
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Array<Stream | undefined>(old.length * 2).fill(undefined);
    for (const stream of old) if (stream !== undefined) this.#place(stream);
  }
}
