import { ErrorCode, Flag, FrameType, frameHeaderOctets, Http2Error, maxFramePayload } from "./frame.ts";

/** What the owner of a FrameReader hears. Either may throw Http2Error. */
export interface FrameHandler {
  /** Nothing more is wanted: the connection is over. */
  readonly isClosed: boolean;
  /** A whole frame other than DATA; its payload is `bytes[start..end)`, valid during the call only. */
  frameRead(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): void;
  /** A header of a DATA frame has come, so that its stream can be judged before its octets come. */
  dataBegun(streamId: number, length: number, flags: number): void;
  /**
   * Octets of the DATA frame that began last, perhaps none. `flowOctets` counts against the windows (padding too). `isLast`: the frame
   * is complete.
   */
  dataRead(bytes: Buffer, start: number, end: number, flowOctets: number, isLast: boolean): void;
}

/**
 * Cuts a connection's bytes into frames. DATA passes through in the pieces that come, so nothing of it is gathered; other frames are
 * handed over whole. Throws Http2Error for what is no frame of a sound length.
 */
export class FrameReader {
  readonly #handler: FrameHandler;
  /** The beginning of a frame that is not all here; at most one frame. */
  #partial: Buffer | undefined = undefined;
  #partialOctets = 0;
  /** Octets of the DATA frame under way that are still to come, without padding. */
  #dataLeft = 0;
  #paddingLeft = 0;
  /** The pad length of the DATA frame under way comes next. */
  #padLengthLeft = false;
  #isInData = false;

  constructor(handler: FrameHandler) {
    this.#handler = handler;
  }

  /** A frame has begun and is not complete. */
  get isMidFrame(): boolean {
    return this.#isInData || this.#partial !== undefined;
  }

  feed(chunk: Buffer): void {
    let at = 0;
    if (this.#isInData) at = this.#readData(chunk, 0);
    if (this.#partial !== undefined) at = this.#complete(chunk, at);
    const end = chunk.length;
    while (end - at >= frameHeaderOctets && !this.#handler.isClosed) {
      const length = (chunk[at]! << 16) | (chunk[at + 1]! << 8) | chunk[at + 2]!;
      if (length > maxFramePayload) throw tooLong();
      const type = chunk[at + 3]!;
      if (type === FrameType.data) {
        this.#beginData(chunk, at, length);
        at = this.#readData(chunk, at + frameHeaderOctets);
        continue;
      }
      const behind = at + frameHeaderOctets + length;
      if (behind > end) break;
      this.#handler.frameRead(
        type,
        chunk[at + 4]!,
        streamIdAt(chunk, at),
        chunk,
        at + frameHeaderOctets,
        behind,
      );
      at = behind;
    }
    if (at < end && !this.#isInData && !this.#handler.isClosed) this.#hold(chunk, at);
  }

  #hold(chunk: Buffer, at: number): void {
    const octets = chunk.length - at;
    // A copy, so that nine octets don't keep the whole of a large read.
    this.#partial = Buffer.allocUnsafe(
      octets < frameHeaderOctets ? frameHeaderOctets : frameOctets(chunk, at),
    );
    chunk.copy(this.#partial, 0, at);
    this.#partialOctets = octets;
  }

  /** Goes on with the frame that is held; returns the position behind what it took. */
  #complete(chunk: Buffer, start: number): number {
    let at = start;
    for (;;) {
      const partial = this.#partial!;
      const taken = Math.min(partial.length - this.#partialOctets, chunk.length - at);
      chunk.copy(partial, this.#partialOctets, at, at + taken);
      this.#partialOctets += taken;
      at += taken;
      if (this.#partialOctets < partial.length) return at;
      const length = (partial[0]! << 16) | (partial[1]! << 8) | partial[2]!;
      if (length > maxFramePayload) throw tooLong();
      const type = partial[3]!;
      if (type === FrameType.data) {
        this.#partial = undefined;
        this.#beginData(partial, 0, length);
        return this.#readData(chunk, at);
      }
      if (partial.length === frameHeaderOctets + length) {
        this.#partial = undefined;
        this.#handler.frameRead(
          type,
          partial[4]!,
          streamIdAt(partial, 0),
          partial,
          frameHeaderOctets,
          partial.length,
        );
        return at;
      }
      const whole = Buffer.allocUnsafe(frameHeaderOctets + length);
      partial.copy(whole, 0, 0, frameHeaderOctets);
      this.#partial = whole;
    }
  }

  #beginData(bytes: Buffer, at: number, length: number): void {
    const flags = bytes[at + 4]!;
    this.#isInData = true;
    this.#dataLeft = length;
    this.#paddingLeft = 0;
    this.#padLengthLeft = (flags & Flag.padded) !== 0;
    if (this.#padLengthLeft && length === 0)
      throw new Http2Error(ErrorCode.frameSizeError, "http2.missing_pad_length");
    this.#handler.dataBegun(streamIdAt(bytes, at), length, flags);
  }

  #readData(bytes: Buffer, start: number): number {
    const end = bytes.length;
    let at = start;
    let flowOctets = 0;
    if (this.#padLengthLeft) {
      if (at === end) return at;
      const padding = bytes[at++]!;
      this.#padLengthLeft = false;
      this.#dataLeft--;
      flowOctets++;
      if (padding > this.#dataLeft) throw new Http2Error(ErrorCode.protocolError, "http2.padding_too_long");
      this.#dataLeft -= padding;
      this.#paddingLeft = padding;
    }
    const dataStart = at;
    const dataEnd = Math.min(end, at + this.#dataLeft);
    const dataOctets = dataEnd - dataStart;
    this.#dataLeft -= dataOctets;
    at = dataEnd;
    const padding = this.#dataLeft === 0 ? Math.min(end - at, this.#paddingLeft) : 0;
    this.#paddingLeft -= padding;
    at += padding;
    flowOctets += dataOctets + padding;
    const isLast = this.#dataLeft === 0 && this.#paddingLeft === 0;
    if (isLast) this.#isInData = false;
    if (flowOctets > 0 || isLast) this.#handler.dataRead(bytes, dataStart, dataEnd, flowOctets, isLast);
    return at;
  }
}

function frameOctets(bytes: Buffer, at: number): number {
  const length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
  if (length > maxFramePayload) throw tooLong();
  // Of DATA only the header is gathered.
  return bytes[at + 3] === FrameType.data ? frameHeaderOctets : frameHeaderOctets + length;
}

function streamIdAt(bytes: Buffer, at: number): number {
  return ((bytes[at + 5]! & 0x7f) << 24) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 8) | bytes[at + 8]!;
}

function tooLong(): Http2Error {
  return new Http2Error(ErrorCode.frameSizeError, "http2.frame_too_large");
}
