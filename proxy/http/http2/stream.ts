import type { MeshError } from "../../errors.ts";
import { meshError } from "../../errors.ts";
import type { BodySink } from "../body.ts";
import { Body } from "../body.ts";
import type { HeaderList } from "../header-list.ts";
import { ErrorCode, Flag, FrameType, frameHeaderOctets, Http2Error, maxUint31 } from "./frame.ts";
import type { FieldBlock } from "./hpack/decoder.ts";
import { PieceQueue } from "./piece-queue.ts";
import { readTrailers } from "./response-fields.ts";
import type { Session } from "./session.ts";

/** Octets of a stream that are sent before another stream has its turn. */
const turnOctets = 16 * 1024;

/**
 * One stream: the body that comes in, handed on no faster than it is taken, and the message that goes out, no faster than the windows and
 * the socket allow. What the messages mean is for `ServerStream` and `ClientStream`.
 */
export abstract class Http2Stream implements BodySink {
  readonly id: number;
  protected readonly session: Session;

  // --- what comes in ---
  /** END_STREAM has come. */
  isRemoteClosed = false;
  /** The head of what comes in has not come: no body may. */
  awaitsHead = false;
  /** Body octets received. */
  octetsReceived = 0;
  protected incoming: Body | undefined = undefined;
  /** Octets that the peer announced; -1 when it did not. */
  #expectedOctets = -1;
  /** Octets that the peer may still send. */
  #receiveWindow: number;
  /** Octets received that the peer has not been given back. */
  #uncredited = 0;
  /** Whoever takes the body wants no more for now; what comes all the same waits here. */
  #isPaused = false;
  #waiting: PieceQueue | undefined = undefined;
  #trailers: HeaderList | undefined = undefined;

  // --- what goes out ---
  /** END_STREAM has been sent. */
  isLocalClosed = false;
  /** Body octets sent. */
  octetsSent = 0;
  sendWindow: number;
  /** In the session's list of streams that wait for room. */
  isQueued = false;
  protected outgoing: Body | undefined = undefined;
  #unsent: PieceQueue | undefined = undefined;
  #mustResume = false;
  /** The message is complete once what waits has been sent. */
  #endsAfterUnsent = false;
  #endTrailers: HeaderList | undefined = undefined;
  /** Where the flags of the frame sent last are, so that END_STREAM can still be set while it has not left. */
  #flagsBytes: Buffer | undefined = undefined;
  #flagsAt = 0;
  #flagsEpoch = -1;

  /** Reset, or complete in both directions. */
  isGone = false;

  constructor(id: number, session: Session) {
    this.id = id;
    this.session = session;
    this.#receiveWindow = session.ownInitialWindow;
    this.sendWindow = session.peer.initialWindowSize;
  }

  // --- for the subclass ---

  /** Octets moved: keeps the idle time-out away. */
  protected abstract touched(): void;
  /** The last octet of the body has come. */
  protected abstract remoteEnded(): void;
  /** Our message is handed to the output completely. */
  protected abstract messageSent(trailers: HeaderList | undefined): void;
  /** Our message broke off before its end. */
  protected abstract messageBroken(cause: MeshError): void;
  /** Nobody wants the rest of the body that comes in. */
  protected abstract incomingCancelled(cause: MeshError | undefined): void;
  /** A header block that is not the first of its message. */
  abstract headersRead(block: FieldBlock, endsStream: boolean): void;
  /** The peer reset the stream; it is no longer in the session's map. */
  abstract resetByPeer(code: number): void;
  /** The connection is lost, or this side reset the stream for what the peer did. Not in the session's map any more. */
  abstract broken(cause: MeshError): void;

  // --- in ---

  /** Begins the body of the message that comes in. `expectedOctets` -1: not announced. */
  protected beginIncoming(expectedOctets: number): Body {
    const body = new Body(expectedOctets === -1 ? undefined : expectedOctets);
    this.#expectedOctets = expectedOctets;
    body.onResume = () => this.#resumeIncoming();
    body.onCancel = (cause) => {
      this.#releaseHeld();
      this.incomingCancelled(cause);
    };
    this.incoming = body;
    return body;
  }

  /** Octets of a DATA frame; the connection's window has been charged already. */
  receive(bytes: Buffer, start: number, end: number, flowOctets: number): void {
    this.#receiveWindow -= flowOctets;
    if (this.#receiveWindow < 0)
      throw new Http2Error(ErrorCode.flowControlError, "http2.stream_window_exceeded", this.id);
    this.#uncredited += flowOctets;
    const octets = end - start;
    this.octetsReceived += octets;
    if (this.#expectedOctets !== -1 && this.octetsReceived > this.#expectedOctets)
      throw new Http2Error(ErrorCode.protocolError, "http2.body_longer_than_announced", this.id);
    if (this.#isPaused) {
      this.session.heldOctets += flowOctets;
      if (octets === 0) return;
      this.touched();
      this.#waiting ??= new PieceQueue();
      this.#waiting.add(bytes, start, end);
      return;
    }
    const body = this.incoming;
    if (octets === 0 || body === undefined || body.isComplete) {
      this.#credit();
      return;
    }
    this.touched();
    if (!body.push(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end))) {
      this.#isPaused = true;
      this.session.heldOctets += this.#uncredited;
    } else this.#credit();
  }

  /** END_STREAM has come, on a DATA frame or on trailers. */
  endIncoming(trailers: HeaderList | undefined): void {
    if (this.#expectedOctets !== -1 && this.octetsReceived !== this.#expectedOctets)
      throw new Http2Error(ErrorCode.protocolError, "http2.body_shorter_than_announced", this.id);
    this.isRemoteClosed = true;
    this.#trailers = trailers;
    const body = this.incoming;
    if (this.#waiting === undefined) {
      // What the body holds is one read at most, and nobody says when it is taken.
      this.#releaseHeld();
      body?.end(trailers);
    }
    this.remoteEnded();
    this.closeIfDone();
  }

  /** Reads a block that ends the message that comes in; throws Http2Error when it does not. */
  protected readTrailers(block: FieldBlock, endsStream: boolean): void {
    if (!endsStream) throw new Http2Error(ErrorCode.protocolError, "http2.trailers_without_end", this.id);
    this.endIncoming(readTrailers(block, this.id));
  }

  #resumeIncoming(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.session.heldOctets -= this.#uncredited;
    const body = this.incoming!;
    const waiting = this.#waiting;
    while (waiting !== undefined && !waiting.isEmpty) {
      if (body.push(waiting.take(Number.POSITIVE_INFINITY))) continue;
      // Whoever takes it may have gone meanwhile.
      if (this.#waiting !== waiting) return;
      this.#isPaused = true;
      this.session.heldOctets += this.#uncredited;
      return;
    }
    this.#waiting = undefined;
    if (this.isRemoteClosed) body.end(this.#trailers);
    this.#credit();
    this.session.creditConnection();
  }

  #credit(): void {
    if (this.isRemoteClosed || this.isGone || this.#uncredited < this.session.ownInitialWindow / 2) return;
    const octets = this.#uncredited;
    this.#uncredited = 0;
    this.#receiveWindow += octets;
    this.session.output.word(FrameType.windowUpdate, this.id, octets);
  }

  /** What was kept for a reader that will not come counts no longer. */
  #releaseHeld(): void {
    if (this.#isPaused) this.session.heldOctets -= this.#uncredited;
    this.#isPaused = false;
    this.#uncredited = 0;
    this.#waiting = undefined;
  }

  // --- out ---

  /** Remembers the frame that was just written at `position`, so that the end can still be put on it. */
  protected wrote(position: number): void {
    const { output } = this.session;
    this.#flagsBytes = output.bytes;
    this.#flagsAt = position + 4;
    this.#flagsEpoch = output.epoch;
  }

  /** Sends `body` behind the head that was written last. */
  protected send(body: Body): void {
    this.outgoing = body;
    body.pipe(this);
  }

  data(chunk: Buffer): boolean {
    if (this.outgoing === undefined || this.isLocalClosed || this.isGone) return true;
    if (chunk.length === 0) return true;
    this.touched();
    if (this.#unsent !== undefined) {
      this.#unsent.add(chunk, 0, chunk.length);
      this.#mustResume = true;
      return false;
    }
    const { session } = this;
    let sent = 0;
    if (!session.output.isFull)
      sent = this.#sendPiece(chunk, Math.min(chunk.length, this.sendWindow, session.sendWindow));
    if (sent < chunk.length) {
      this.#unsent = new PieceQueue();
      this.#unsent.add(chunk, sent, chunk.length);
    } else if (!session.output.isFull) return true;
    this.#mustResume = true;
    session.queue(this);
    return false;
  }

  end(trailers: HeaderList | undefined): void {
    if (this.outgoing === undefined || this.isLocalClosed || this.isGone) return;
    if (this.#unsent !== undefined) {
      this.#endsAfterUnsent = true;
      this.#endTrailers = trailers;
    } else this.#finish(trailers);
  }

  fail(cause: MeshError): void {
    if (this.outgoing === undefined || this.isLocalClosed || this.isGone) return;
    this.outgoing = undefined;
    this.messageBroken(cause);
  }

  /** Nothing to send, or nothing that may be sent now, is no reason to be asked for it. */
  get canSend(): boolean {
    return this.#unsent === undefined || this.sendWindow > 0;
  }

  /** The session's: there is room. Sends one turn's worth; true when the stream wants another turn. */
  sendTurn(): boolean {
    const unsent = this.#unsent;
    if (unsent !== undefined) {
      const most = Math.min(turnOctets, this.sendWindow, this.session.sendWindow);
      if (most <= 0) return false;
      this.touched();
      const piece = unsent.take(most);
      this.#sendPiece(piece, piece.length);
      if (!unsent.isEmpty) return this.sendWindow > 0;
      this.#unsent = undefined;
      if (this.#endsAfterUnsent) {
        this.#finish(this.#endTrailers);
        return false;
      }
    }
    if (this.#mustResume) {
      this.#mustResume = false;
      this.outgoing?.resume();
    }
    return false;
  }

  /** Throws Http2Error when the window would pass its limit (RFC 9113 6.9.1). */
  growSendWindow(octets: number): void {
    this.sendWindow += octets;
    if (this.sendWindow > maxUint31)
      throw new Http2Error(ErrorCode.flowControlError, "http2.window_overflow", this.id);
    if (this.#unsent !== undefined && this.sendWindow > 0) this.session.queue(this);
  }

  #sendPiece(piece: Buffer, octets: number): number {
    if (octets <= 0) return 0;
    const { output, peer } = this.session;
    for (let start = 0; start < octets; ) {
      const end = Math.min(octets, start + peer.maxFrameSize);
      const length = end - start;
      output.reserve(frameHeaderOctets + length);
      // Noted before, because a long frame may leave at once.
      this.wrote(output.at);
      output.data(this.id, 0, piece, start, end);
      this.session.earnIdleFrames();
      start = end;
    }
    this.sendWindow -= octets;
    this.session.sendWindow -= octets;
    this.octetsSent += octets;
    return octets;
  }

  #finish(trailers: HeaderList | undefined): void {
    const { output } = this.session;
    this.outgoing = undefined;
    this.isLocalClosed = true;
    if (trailers !== undefined) this.session.writeTrailers(this.id, trailers);
    else if (this.#flagsEpoch === output.epoch && this.#flagsBytes !== undefined)
      this.#flagsBytes[this.#flagsAt]! |= Flag.endStream;
    else {
      output.reserve(frameHeaderOctets);
      output.header(output.at, 0, FrameType.data, Flag.endStream, this.id);
      output.at += frameHeaderOctets;
    }
    this.messageSent(trailers);
    this.closeIfDone();
  }

  /** The head that was written carried END_STREAM. */
  protected finishedWithHead(): void {
    this.isLocalClosed = true;
    this.messageSent(undefined);
    this.closeIfDone();
  }

  // --- endings ---

  protected closeIfDone(): void {
    if (this.isRemoteClosed && this.isLocalClosed && !this.isGone) {
      this.isGone = true;
      this.session.remove(this);
    }
  }

  /** Resets the stream with `code` and forgets it; its bodies are for the caller to end. */
  reset(code: number): void {
    if (this.isGone) return;
    this.session.sendReset(this.id, code);
    this.leave();
  }

  /** The session forgets the stream; nothing more is sent or taken. */
  leave(): void {
    if (this.isGone) return;
    this.isGone = true;
    this.#unsent = undefined;
    this.session.remove(this);
  }

  /** Breaks off both bodies: the one that comes in for whoever reads it, the one that goes out for whoever makes it. */
  protected breakBodies(cause: MeshError): void {
    const { incoming, outgoing } = this;
    this.outgoing = undefined;
    this.#releaseHeld();
    outgoing?.cancel(cause);
    incoming?.fail(cause);
  }
}

/** What a reset by the peer means, for logs. */
export function remoteReset(code: number, name: string): MeshError {
  return meshError(code === ErrorCode.refusedStream ? "reset_before_request" : "upstream_reset", name);
}
