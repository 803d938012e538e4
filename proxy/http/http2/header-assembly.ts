import { ErrorCode, Flag, Http2Error, maxUint31 } from "./frame.ts";
import type { FieldBlock, HpackDecoder } from "./hpack/decoder.ts";

/** Encoded octets that a block may have beyond what its decoded fields may: coding makes fields shorter, never much longer. */
const slackOctets = 16 * 1024;
/** Frames of one block. A sound peer fills each before it begins another. */
const maxFrames = 32;

/** Puts a header block together from HEADERS and CONTINUATION frames; the common one is a single frame, and nothing is copied. */
export class HeaderAssembly {
  streamId = 0;
  endsStream = false;
  /** RFC 9113 5.3.1 took priorities away; a stream that depends on itself was an error before, and peers test for it. */
  dependsOnItself = false;
  #isOpen = false;
  #parts: Buffer[] = [];
  #octets = 0;
  #start = 0;
  #end = 0;
  #bytes: Buffer = Buffer.alloc(0);
  readonly #maxOctets: number;

  /** `maxListOctets`: how long the decoded list may be. */
  constructor(maxListOctets: number) {
    this.#maxOctets = maxListOctets + slackOctets;
  }

  /** A block has begun; only its CONTINUATION may follow. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Takes a HEADERS frame; true when the block is complete. Throws Http2Error. */
  begin(flags: number, streamId: number, bytes: Buffer, start: number, end: number): boolean {
    let from = start;
    let to = end;
    if ((flags & Flag.padded) !== 0) {
      if (from === to) throw new Http2Error(ErrorCode.frameSizeError, "http2.missing_pad_length");
      to -= bytes[from++]!;
    }
    this.dependsOnItself = false;
    if ((flags & Flag.priority) !== 0) {
      if (to - from < 5) throw new Http2Error(ErrorCode.frameSizeError, "http2.headers_too_short");
      this.dependsOnItself = (bytes.readUInt32BE(from) & maxUint31) === streamId;
      from += 5;
    }
    if (to < from) throw new Http2Error(ErrorCode.protocolError, "http2.padding_too_long");
    this.streamId = streamId;
    this.endsStream = (flags & Flag.endStream) !== 0;
    this.#isOpen = (flags & Flag.endHeaders) === 0;
    if (this.#isOpen) {
      this.#octets = to - from;
      this.#parts = [Buffer.from(bytes.subarray(from, to))];
    } else {
      this.#bytes = bytes;
      this.#start = from;
      this.#end = to;
    }
    return !this.#isOpen;
  }

  /** Takes a CONTINUATION frame; true when the block is complete. Throws Http2Error when it grows too long (CVE-2024-27919). */
  add(flags: number, bytes: Buffer, start: number, end: number): boolean {
    this.#octets += end - start;
    if (this.#octets > this.#maxOctets || this.#parts.length >= maxFrames)
      throw new Http2Error(ErrorCode.enhanceYourCalm, "http2.header_block_too_large");
    this.#parts.push(Buffer.from(bytes.subarray(start, end)));
    if ((flags & Flag.endHeaders) === 0) return false;
    this.#bytes = Buffer.concat(this.#parts);
    this.#parts = [];
    this.#start = 0;
    this.#end = this.#bytes.length;
    this.#isOpen = false;
    return true;
  }

  /** Decodes the block that is complete. */
  decode(decoder: HpackDecoder): FieldBlock {
    const bytes = this.#bytes;
    this.#bytes = noBytes;
    return decoder.decode(bytes, this.#start, this.#end);
  }
}

const noBytes: Buffer = Buffer.alloc(0);
