import type { MeshError } from "../../errors.ts";
import { meshError } from "../../errors.ts";
import type { Body } from "../body.ts";
import type { HeaderList } from "../header-list.ts";
import { scanFields } from "./field-section.ts";
import {
  BACKSLASH,
  CR,
  DQUOTE,
  EQUALS,
  hexValue,
  isFieldOctet,
  isTokenOctet,
  LF,
  SEMICOLON,
} from "./octets.ts";
import { trailersFromMarks } from "./trailers.ts";

const Step = Object.freeze({
  sizeFirst: 0,
  size: 1,
  extensionName: 2,
  extensionNameFirst: 14,
  extensionValueFirst: 3,
  extensionToken: 4,
  extensionQuoted: 5,
  extensionEscape: 6,
  extensionAfterQuoted: 7,
  sizeLf: 8,
  data: 9,
  dataCr: 10,
  dataLf: 11,
  trailers: 12,
  done: 13,
});

/** More digits would be more than any real chunk, and no more than 12 stay exact in a double. */
const maxSizeDigits = 12;
/** Octets of chunk extensions in one message, as Node limits them (CVE-2024-22019). */
const maxExtensionOctets = 16 * 1024;
/** Pieces up to this size are moved up to the one before, so that a read of a thousand tiny chunks is not a thousand buffers. */
const mergedOctets = 4 * 1024;
const maxTrailerOctets = 16 * 1024;
const maxTrailerCount = 64;

/**
 * Decodes one chunked body (RFC 9112 section 7.1). Extensions are checked, bounded and dropped. Reusable after `reset()`;
 * pure: bytes in, pushes on a Body out.
 */
export class ChunkedDecoder {
  /** False after the body refused more; the caller pauses its socket. */
  wantsMore = true;
  trailers: HeaderList | undefined = undefined;
  /** Body octets pushed. */
  octets = 0;

  #step: number = Step.sizeFirst;
  #remaining = 0;
  #digits = 0;
  #extensionOctets = 0;
  #trailerBytes: Buffer | undefined = undefined;

  get isDone(): boolean {
    return this.#step === Step.done;
  }

  reset(): void {
    this.wantsMore = true;
    this.trailers = undefined;
    this.octets = 0;
    this.#step = Step.sizeFirst;
    this.#extensionOctets = 0;
    this.#trailerBytes = undefined;
  }

  /**
   * Takes bytes from `start` on, up to the end of the body; returns the position behind what it took. May overwrite what it took, because
   * what it pushes are views of `bytes`. Throws `bad_request`.
   */
  decode(bytes: Buffer, start: number, end: number, body: Body): number {
    let position = start;
    let runStart = start;
    let runEnd = start;
    while (position < end && this.#step !== Step.trailers) {
      if (this.#step !== Step.data) {
        this.#advance(bytes[position]!);
        position++;
        continue;
      }
      const stop = Math.min(end, position + this.#remaining);
      const length = stop - position;
      if (runEnd > runStart && length <= mergedOctets) {
        bytes.copyWithin(runEnd, position, stop);
        runEnd += length;
      } else {
        if (runEnd > runStart) this.#push(bytes.subarray(runStart, runEnd), body);
        runStart = position;
        runEnd = stop;
      }
      this.#remaining -= length;
      if (this.#remaining === 0) this.#step = Step.dataCr;
      position = stop;
    }
    if (runEnd > runStart) this.#push(bytes.subarray(runStart, runEnd), body);
    return position < end ? this.#readTrailers(bytes, position, end) : position;
  }

  #push(piece: Buffer, body: Body): void {
    this.octets += piece.length;
    if (!body.push(piece)) this.wantsMore = false;
  }

  #advance(octet: number): void {
    switch (this.#step) {
      case Step.sizeFirst: {
        const digit = hexValue[octet]!;
        if (digit === 255) throw invalid("http1.invalid_chunk_size");
        this.#remaining = digit;
        this.#digits = 1;
        this.#step = Step.size;
        return;
      }
      case Step.size: {
        const digit = hexValue[octet]!;
        if (digit !== 255) {
          if (++this.#digits > maxSizeDigits) throw invalid("http1.chunk_size_overflow");
          this.#remaining = this.#remaining * 16 + digit;
        } else if (octet === CR) this.#step = Step.sizeLf;
        else if (octet === SEMICOLON) this.#step = Step.extensionNameFirst;
        else throw invalid("http1.invalid_chunk_size");
        return;
      }
      case Step.sizeLf:
        if (octet !== LF) throw invalid("http1.bare_cr");
        this.#step = this.#remaining === 0 ? Step.trailers : Step.data;
        return;
      case Step.dataCr:
        if (octet !== CR) throw invalid("http1.chunk_longer_than_size");
        this.#step = Step.dataLf;
        return;
      case Step.dataLf:
        if (octet !== LF) throw invalid("http1.bare_cr");
        this.#step = Step.sizeFirst;
        return;
      default:
        this.#advanceExtension(octet);
    }
  }

  #advanceExtension(octet: number): void {
    if (++this.#extensionOctets > maxExtensionOctets) throw invalid("http1.chunk_extensions_too_large");
    const step = this.#step;
    if (step === Step.extensionQuoted) {
      if (octet === DQUOTE) this.#step = Step.extensionAfterQuoted;
      else if (octet === BACKSLASH) this.#step = Step.extensionEscape;
      else if (isFieldOctet[octet] === 0) throw invalid("http1.invalid_chunk_extension");
    } else if (step === Step.extensionEscape) {
      if (isFieldOctet[octet] === 0) throw invalid("http1.invalid_chunk_extension");
      this.#step = Step.extensionQuoted;
    } else if (step === Step.extensionValueFirst && octet === DQUOTE) this.#step = Step.extensionQuoted;
    else if (isTokenOctet[octet] === 1 && step !== Step.extensionAfterQuoted) {
      if (step === Step.extensionValueFirst) this.#step = Step.extensionToken;
      else if (step === Step.extensionNameFirst) this.#step = Step.extensionName;
    } else if (step === Step.extensionValueFirst || step === Step.extensionNameFirst) {
      throw invalid("http1.invalid_chunk_extension");
    } else if (octet === CR) this.#step = Step.sizeLf;
    else if (octet === SEMICOLON) this.#step = Step.extensionNameFirst;
    else if (octet === EQUALS && step === Step.extensionName) this.#step = Step.extensionValueFirst;
    else throw invalid("http1.invalid_chunk_extension");
  }

  #readTrailers(bytes: Buffer, start: number, end: number): number {
    const held = this.#trailerBytes;
    const heldLength = held === undefined ? 0 : held.length;
    const all = held === undefined ? bytes : Buffer.concat([held, bytes.subarray(start, end)]);
    const from = held === undefined ? start : 0;
    const to = held === undefined ? end : all.length;
    const behind = scanFields(all, from, to, maxTrailerCount);
    if (behind === -1) {
      if (to - from > maxTrailerOctets) throw meshError("headers_too_large", "http1.trailers_too_large");
      this.#trailerBytes = held === undefined ? Buffer.from(bytes.subarray(start, end)) : all;
      return end;
    }
    this.trailers = trailersFromMarks(all);
    this.#trailerBytes = undefined;
    this.#step = Step.done;
    return held === undefined ? behind : start + (behind - heldLength);
  }
}

function invalid(detail: string): MeshError {
  return meshError("bad_request", detail);
}
