/** Pieces up to this size are put together, so that many tiny frames don't cost many buffers, nor keep whole reads alive. */
const mergedOctets = 8 * 1024;
const mergeBufferOctets = 16 * 1024;

/** Octets that wait, first in, first out. What it holds is bounded by whoever adds: a flow-control window, or one read. */
export class PieceQueue {
  readonly #pieces: Buffer[] = [];
  /** How much of the first piece has been taken. */
  #taken = 0;
  /** The last piece is ours and has room from here on; -1 when it is not. */
  #room: Buffer | undefined = undefined;
  #roomAt = 0;

  get isEmpty(): boolean {
    return this.#pieces.length === 0;
  }

  add(bytes: Buffer, start: number, end: number): void {
    const octets = end - start;
    if (octets > mergedOctets) {
      this.#room = undefined;
      this.#pieces.push(bytes.subarray(start, end));
      return;
    }
    const room = this.#room;
    if (room !== undefined && room.length - this.#roomAt >= octets && this.#pieces.length > 0) {
      bytes.copy(room, this.#roomAt, start, end);
      this.#roomAt += octets;
      const last = this.#pieces.length - 1;
      const begin = this.#pieces[last]!.byteOffset - room.byteOffset;
      this.#pieces[last] = room.subarray(begin, this.#roomAt);
      return;
    }
    const fresh = Buffer.allocUnsafeSlow(mergeBufferOctets);
    bytes.copy(fresh, 0, start, end);
    this.#room = fresh;
    this.#roomAt = octets;
    this.#pieces.push(fresh.subarray(0, octets));
  }

  /** Up to `most` octets of the first piece. Not to be called when it is empty. */
  take(most: number): Buffer {
    const first = this.#pieces[0]!;
    const end = Math.min(first.length, this.#taken + most);
    const piece = this.#taken === 0 && end === first.length ? first : first.subarray(this.#taken, end);
    if (end === first.length) {
      this.#pieces.shift();
      this.#taken = 0;
    } else this.#taken = end;
    return piece;
  }
}
