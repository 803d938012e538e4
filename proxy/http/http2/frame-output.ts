import type { Socket } from "node:net";
import { FrameType, frameHeaderOctets } from "./frame.ts";
import type { Flushable } from "./turn.ts";
import { flushAfterTurn } from "./turn.ts";

/** Octets of a slab. Frames are written into slabs; what is left of one after a flush goes to the next output that needs it. */
const slabOctets = 64 * 1024;
/** A rest smaller than this is not worth keeping. */
const smallestRest = 1024;
/** Payloads up to this size are copied behind their frame header; larger ones go to the socket as they are. */
const copiedOctets = 4 * 1024;
/** Beyond this much the turn's end is not waited for. */
const maxGatheredOctets = 64 * 1024;

interface Slab {
  readonly bytes: Buffer;
  at: number;
}

/** Slabs with room that no output is writing into. */
const restingSlabs: Slab[] = [];

/** Gathers the frames of one connection and writes them to its socket once per turn of the event loop. */
export class FrameOutput implements Flushable {
  /** Where the next frame goes; valid after `reserve`. */
  bytes: Buffer = noBytes;
  at = 0;
  /** Goes up with each flush: frames of an earlier epoch can't be changed any more. */
  epoch = 0;
  /** The socket wants no bodies before it says `drain`; short frames may still follow. */
  isFull = false;
  readonly #socket: Socket;
  #slab: Slab | undefined = undefined;
  #start = 0;
  #parts: Buffer[] = [];
  #partOctets = 0;
  #isScheduled = false;
  #isClosed = false;

  /** `onRoom` is called when the socket takes more, after `isFull` was set. */
  constructor(socket: Socket, onRoom: () => void) {
    this.#socket = socket;
    socket.on("drain", () => {
      this.isFull = false;
      onRoom();
    });
  }

  /** Octets that the kernel has not taken yet. */
  get backlog(): number {
    return this.#partOctets + (this.at - this.#start) + this.#socket.writableLength;
  }

  /** Makes room for `octets` at `at` of `bytes`, and has them written at the end of the turn. */
  reserve(octets: number): void {
    if (this.#slab === undefined || this.bytes.length - this.at < octets) this.#takeSlab(octets);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    flushAfterTurn(this);
  }

  /** Writes a frame header at `position`, for a payload that is written behind it. */
  header(position: number, length: number, type: number, flags: number, streamId: number): void {
    const bytes = this.bytes;
    bytes[position] = length >>> 16;
    bytes[position + 1] = length >>> 8;
    bytes[position + 2] = length;
    bytes[position + 3] = type;
    bytes[position + 4] = flags;
    bytes[position + 5] = streamId >>> 24;
    bytes[position + 6] = streamId >>> 16;
    bytes[position + 7] = streamId >>> 8;
    bytes[position + 8] = streamId;
  }

  /** A frame whose payload is one 32-bit number: RST_STREAM, WINDOW_UPDATE. */
  word(type: number, streamId: number, word: number): void {
    this.reserve(frameHeaderOctets + 4);
    this.header(this.at, 4, type, 0, streamId);
    this.bytes.writeUInt32BE(word, this.at + frameHeaderOctets);
    this.at += frameHeaderOctets + 4;
  }

  /** A frame with any small payload. */
  frame(type: number, flags: number, streamId: number, payload: Uint8Array): void {
    this.reserve(frameHeaderOctets + payload.length);
    this.header(this.at, payload.length, type, flags, streamId);
    this.bytes.set(payload, this.at + frameHeaderOctets);
    this.at += frameHeaderOctets + payload.length;
  }

  /** A DATA frame with `payload[start..end)`; the position of its flags is `at` before the call plus 4. */
  data(streamId: number, flags: number, payload: Buffer, start: number, end: number): void {
    const length = end - start;
    const isCopied = length <= copiedOctets;
    this.reserve(frameHeaderOctets + (isCopied ? length : 0));
    this.header(this.at, length, FrameType.data, flags, streamId);
    this.at += frameHeaderOctets;
    if (isCopied) {
      if (length > 0) payload.copy(this.bytes, this.at, start, end);
      this.at += length;
    } else {
      this.#cut();
      this.#parts.push(start === 0 && end === payload.length ? payload : payload.subarray(start, end));
      this.#partOctets += length;
    }
    if (this.#partOctets > maxGatheredOctets) this.#write();
  }

  /** Writes everything out now; called at the end of the turn. */
  flush(): void {
    this.#isScheduled = false;
    this.#write();
    const slab = this.#slab;
    if (slab === undefined) return;
    this.#slab = undefined;
    this.bytes = noBytes;
    slab.at = this.at;
    this.at = 0;
    this.#start = 0;
    if (slab.bytes.length - slab.at >= smallestRest) restingSlabs.push(slab);
  }

  /** Drops what is not written; nothing is written after it. */
  close(): void {
    this.#isClosed = true;
    this.#parts = [];
    this.#partOctets = 0;
    this.#start = this.at;
  }

  #write(): void {
    this.#cut();
    const parts = this.#parts;
    if (parts.length === 0) return;
    this.epoch++;
    this.#parts = [];
    this.#partOctets = 0;
    const socket = this.#socket;
    if (this.#isClosed || socket.destroyed || socket.writableEnded) return;
    if (parts.length === 1) socket.write(parts[0]!);
    else {
      socket.cork();
      for (const part of parts) socket.write(part);
      socket.uncork();
    }
    if (socket.writableNeedDrain) this.isFull = true;
  }

  /** Closes the run of frames in the slab, so that something else can follow it. */
  #cut(): void {
    if (this.at === this.#start) return;
    this.#parts.push(this.bytes.subarray(this.#start, this.at));
    this.#partOctets += this.at - this.#start;
    this.#start = this.at;
  }

  #takeSlab(octets: number): void {
    this.#cut();
    let slab = restingSlabs.pop();
    // Large header blocks are rare; they get memory of their own.
    if (slab === undefined || slab.bytes.length - slab.at < octets)
      slab = { bytes: Buffer.allocUnsafeSlow(Math.max(slabOctets, octets)), at: 0 };
    this.#slab = slab;
    this.bytes = slab.bytes;
    this.at = slab.at;
    this.#start = slab.at;
  }
}

const noBytes: Buffer = Buffer.alloc(0);
