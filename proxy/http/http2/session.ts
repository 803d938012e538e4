import type { Socket } from "node:net";
import type { Clock } from "../../../common/base/clock.ts";
import type { MeshError } from "../../errors.ts";
import { meshError } from "../../errors.ts";
import type { HeaderList } from "../header-list.ts";
import { FloodBudget } from "./flood-budget.ts";
import { ErrorCode, Flag, FrameType, frameHeaderOctets, Http2Error, maxUint31 } from "./frame.ts";
import { FrameOutput } from "./frame-output.ts";
import type { FrameHandler } from "./frame-reader.ts";
import { FrameReader } from "./frame-reader.ts";
import { HeaderAssembly } from "./header-assembly.ts";
import type { FieldBlock, FieldLimits } from "./hpack/decoder.ts";
import { HpackDecoder } from "./hpack/decoder.ts";
import { blockOverhead, fieldOverhead, HpackEncoder } from "./hpack/encoder.ts";
import { PeerSettings } from "./settings.ts";
import type { Http2Stream } from "./stream.ts";
import { StreamTable } from "./stream-table.ts";

/** What a stream's peer may send before it is given more. Two reads' worth for each end of a fast connection in one data centre. */
export const streamWindowOctets: number = 256 * 1024;
/** The same for all streams of a connection together. */
export const connectionWindowOctets: number = 1024 * 1024;
/** As long as readers hold no more than this, a slow one costs the others of its connection nothing. */
const maxHeldOctets = 4 * 1024 * 1024;

/** Frames that cost us more than the peer and bring nothing: so many at once, so many a second. */
const idleFramesAtOnce = 1_000;
const idleFramesPerSecond = 100;
/** Streams that end before their answer: so many at once, so many a second; each answer that is complete allows another. */
const resetsAtOnce = 200;
const resetsPerSecond = 100;

/** Streams that we reset of late: what was on its way is ignored. */
const rememberedResets = 1_024;

/** What the two kinds of connections do differently. */
export interface SessionOwner {
  /** A header block for a stream that is not open: a request, or nonsense. May throw Http2Error. */
  strangeHeaders(streamId: number, block: FieldBlock, endsStream: boolean): void;
  /** Whether a stream of that number was opened before, by the side that may. */
  isKnown(streamId: number): boolean;
  settingsRead(): void;
  goawayRead(lastStreamId: number, code: number): void;
  pingAcknowledged(): void;
  /** A stream is no longer open. */
  streamRemoved(stream: Http2Stream): void;
  /** The peer broke the protocol; GOAWAY is written, and nothing may follow it. */
  violated(error: Http2Error): void;
}

/** One HTTP/2 connection, as both ends have it: frames, tables, windows, settings. What streams mean is its owner's. */
export class Session implements FrameHandler {
  readonly output: FrameOutput;
  readonly encoder: HpackEncoder;
  /** HTTP/1.1 as it is: names in any case, no rules for HTTP/2 alone. Agreed by ALPN. */
  readonly carriesHttp1: boolean;
  readonly peer: PeerSettings;
  readonly streams = new StreamTable<Http2Stream>();
  readonly ownInitialWindow: number = streamWindowOctets;
  /** What the peer allows all streams together. */
  sendWindow = 65_535;
  /** Octets received that nobody has taken yet. */
  heldOctets = 0;
  /** Set by the owner: frames are ignored from now on. */
  isClosed = false;
  /** The peer has sent its SETTINGS. */
  hasSettings = false;
  /** Highest stream number of the peer's that we dealt with; for GOAWAY. */
  lastPeerStream = 0;

  readonly #owner: SessionOwner;
  readonly #clock: Clock;
  readonly #reader: FrameReader;
  readonly #decoder: HpackDecoder;
  readonly #assembly: HeaderAssembly;
  readonly #idleFrames: FloodBudget;
  readonly #resets: FloodBudget;
  readonly #ourResets = new Set<number>();
  #receiveWindow = connectionWindowOctets;
  #uncredited = 0;
  /** Streams with something to send that wait for the socket or the window, in turn. */
  #queue: Http2Stream[] = [];
  // The DATA frame under way.
  #dataStream: Http2Stream | undefined = undefined;
  #dataStreamId = 0;
  #dataEnds = false;
  #dataIsEmpty = false;

  constructor(
    socket: Socket,
    owner: SessionOwner,
    clock: Clock,
    limits: FieldLimits,
    peerIsServer: boolean,
    carriesHttp1: boolean,
  ) {
    const now = clock.monotonic();
    this.#owner = owner;
    this.#clock = clock;
    this.peer = new PeerSettings(peerIsServer);
    this.output = new FrameOutput(socket, () => this.#pump());
    this.#reader = new FrameReader(this);
    this.carriesHttp1 = carriesHttp1;
    this.encoder = new HpackEncoder(carriesHttp1);
    this.#decoder = new HpackDecoder(limits, carriesHttp1);
    this.#assembly = new HeaderAssembly(limits.maxOctets);
    this.#idleFrames = new FloodBudget(idleFramesAtOnce, idleFramesPerSecond, now);
    this.#resets = new FloodBudget(resetsAtOnce, resetsPerSecond, now);
  }

  /** A frame or a header block has begun and not ended: its sender is to be quick. */
  get isMidFrame(): boolean {
    return this.#assembly.isOpen || (this.#reader.isMidFrame && this.#dataStream === undefined);
  }

  /** Our half of the opening: SETTINGS, and more room for all streams together than the 65,535 octets that are there. */
  begin(settings: Uint8Array): void {
    this.output.frame(FrameType.settings, 0, 0, settings);
    this.output.word(FrameType.windowUpdate, 0, connectionWindowOctets - 65_535);
  }

  feed(chunk: Buffer): void {
    try {
      this.#reader.feed(chunk);
    } catch (thrown) {
      if (!(thrown instanceof Http2Error)) throw thrown;
      this.#fail(thrown);
    }
  }

  // --- frames in ---

  frameRead(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (type !== FrameType.settings && !this.hasSettings) throw protocolError("settings_expected");
    if (this.#assembly.isOpen && (type !== FrameType.continuation || streamId !== this.#assembly.streamId))
      throw protocolError("continuation_expected");
    try {
      this.#dispatch(type, flags, streamId, bytes, start, end);
    } catch (thrown) {
      this.#streamFailed(thrown);
    }
  }

  #dispatch(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    switch (type) {
      case FrameType.headers:
        if (streamId === 0) throw protocolError("headers_on_connection");
        if (this.#assembly.begin(flags, streamId, bytes, start, end)) this.#headersComplete();
        return;
      case FrameType.continuation:
        if (!this.#assembly.isOpen) throw protocolError("unexpected_continuation");
        if (this.#assembly.add(flags, bytes, start, end)) this.#headersComplete();
        return;
      case FrameType.windowUpdate:
        this.#readWindowUpdate(streamId, bytes, start, end);
        return;
      case FrameType.rstStream:
        this.#readReset(streamId, bytes, start, end);
        return;
      case FrameType.settings:
        this.#readSettings(flags, streamId, bytes, start, end);
        return;
      case FrameType.ping:
        if (streamId !== 0) throw protocolError("ping_on_stream");
        if (end - start !== 8) throw sizeError("ping_length");
        if ((flags & Flag.ack) !== 0) this.#owner.pingAcknowledged();
        else {
          this.#spendIdleFrame();
          this.output.frame(FrameType.ping, Flag.ack, 0, bytes.subarray(start, end));
        }
        return;
      case FrameType.goaway:
        if (streamId !== 0) throw protocolError("goaway_on_stream");
        if (end - start < 8) throw sizeError("goaway_length");
        this.#spendIdleFrame();
        this.#owner.goawayRead(bytes.readUInt32BE(start) & maxUint31, bytes.readUInt32BE(start + 4));
        return;
      case FrameType.priority:
        // Priorities are not followed (RFC 9113 5.3.2), but they must be sound.
        if (streamId === 0) throw protocolError("priority_on_connection");
        this.#spendIdleFrame();
        if (end - start !== 5)
          throw new Http2Error(ErrorCode.frameSizeError, "http2.priority_length", streamId);
        if ((bytes.readUInt32BE(start) & maxUint31) === streamId)
          throw new Http2Error(ErrorCode.protocolError, "http2.self_dependency", streamId);
        return;
      case FrameType.pushPromise:
        throw protocolError("push_promise");
      default:
        this.#spendIdleFrame();
    }
  }

  #headersComplete(): void {
    const { streamId, endsStream } = this.#assembly;
    const block = this.#assembly.decode(this.#decoder);
    if (this.#assembly.dependsOnItself)
      throw new Http2Error(ErrorCode.protocolError, "http2.self_dependency", streamId);
    const stream = this.streams.get(streamId);
    if (stream !== undefined) {
      if (stream.isRemoteClosed)
        throw new Http2Error(ErrorCode.streamClosed, "http2.headers_after_end", streamId);
      stream.headersRead(block, endsStream);
    } else if (!this.#ourResets.has(streamId)) this.#owner.strangeHeaders(streamId, block, endsStream);
  }

  dataBegun(streamId: number, length: number, flags: number): void {
    if (this.#assembly.isOpen) throw protocolError("continuation_expected");
    if (!this.hasSettings) throw protocolError("settings_expected");
    if (streamId === 0) throw protocolError("data_on_connection");
    const stream = this.streams.get(streamId);
    this.#dataStreamId = streamId;
    this.#dataStream = undefined;
    this.#dataEnds = (flags & Flag.endStream) !== 0;
    this.#dataIsEmpty = length === 0;
    if (this.#dataIsEmpty && !this.#dataEnds) this.#spendIdleFrame();
    if (length > this.#receiveWindow)
      throw new Http2Error(ErrorCode.flowControlError, "http2.connection_window_exceeded");
    if (stream?.awaitsHead)
      this.#streamFailed(new Http2Error(ErrorCode.protocolError, "http2.data_before_head", streamId));
    else if (stream !== undefined && !stream.isRemoteClosed) this.#dataStream = stream;
    else if (stream === undefined && !this.#owner.isKnown(streamId))
      throw protocolError("data_on_idle_stream");
    else if (!this.#ourResets.has(streamId)) {
      this.#streamFailed(new Http2Error(ErrorCode.streamClosed, "http2.data_after_end", streamId));
    }
  }

  dataRead(bytes: Buffer, start: number, end: number, flowOctets: number, isLast: boolean): void {
    this.#receiveWindow -= flowOctets;
    this.#uncredited += flowOctets;
    const stream = this.#dataStream;
    if (stream !== undefined && !stream.isGone) {
      try {
        if (flowOctets > 0) {
          stream.receive(bytes, start, end, flowOctets);
          this.#idleFrames.earn(1);
        }
        if (isLast && this.#dataEnds && !stream.isGone) stream.endIncoming(undefined);
      } catch (thrown) {
        this.#streamFailed(thrown);
      }
    } else if (stream !== undefined && isLast && this.#dataEnds) this.#ourResets.delete(this.#dataStreamId);
    if (isLast) this.#dataStream = undefined;
    this.creditConnection();
  }

  /** Gives the peer back what it has sent, unless readers hold too much of it. */
  creditConnection(): void {
    if (this.#uncredited < connectionWindowOctets / 2 || this.heldOctets > maxHeldOctets || this.isClosed)
      return;
    this.output.word(FrameType.windowUpdate, 0, this.#uncredited);
    this.#receiveWindow += this.#uncredited;
    this.#uncredited = 0;
  }

  #readWindowUpdate(streamId: number, bytes: Buffer, start: number, end: number): void {
    if (end - start !== 4) throw sizeError("window_update_length");
    const octets = bytes.readUInt32BE(start) & maxUint31;
    // One for every frame of ours is a peer's good right; many for nothing are not.
    this.#spendIdleFrame();
    if (streamId === 0) {
      if (octets === 0) throw protocolError("window_update_of_zero");
      this.sendWindow += octets;
      if (this.sendWindow > maxUint31)
        throw new Http2Error(ErrorCode.flowControlError, "http2.window_overflow");
      this.#pump();
      return;
    }
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      if (!this.#owner.isKnown(streamId)) throw protocolError("window_update_on_idle_stream");
      return;
    }
    if (octets === 0) throw new Http2Error(ErrorCode.protocolError, "http2.window_update_of_zero", streamId);
    stream.growSendWindow(octets);
    this.#pump();
  }

  #readReset(streamId: number, bytes: Buffer, start: number, end: number): void {
    if (end - start !== 4) throw sizeError("rst_stream_length");
    if (streamId === 0 || !this.#owner.isKnown(streamId)) throw protocolError("reset_of_idle_stream");
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      this.#spendIdleFrame();
      return;
    }
    stream.leave();
    stream.resetByPeer(bytes.readUInt32BE(start));
    if (!this.peer.isServer) this.#spendReset();
  }

  #readSettings(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId !== 0) throw protocolError("settings_on_stream");
    if ((flags & Flag.ack) !== 0) {
      if (end !== start) throw sizeError("settings_length");
      if (!this.hasSettings) throw protocolError("settings_expected");
      return;
    }
    if (this.hasSettings) this.#spendIdleFrame();
    const { peer } = this;
    const before = peer.initialWindowSize;
    peer.read(bytes, start, end);
    this.hasSettings = true;
    this.encoder.limitTable(peer.headerTableSize);
    this.output.frame(FrameType.settings, Flag.ack, 0, noOctets);
    const growth = peer.initialWindowSize - before;
    if (growth !== 0) {
      for (const stream of this.streams.all()) {
        stream.sendWindow += growth;
        if (stream.sendWindow > maxUint31)
          throw new Http2Error(ErrorCode.flowControlError, "http2.window_overflow");
        if (growth > 0) stream.growSendWindow(0);
      }
      this.#pump();
    }
    this.#owner.settingsRead();
  }

  // --- frames out ---

  /**
   * Writes a header block: HEADERS, and CONTINUATION for what does not fit. `pseudo` and `raw` are name/value pairs; of Content-Length
   * only a value that equals `allowedLength` passes, and any when that is undefined. Returns where the frame begins in `output.bytes`.
   */
  writeHeaders(
    streamId: number,
    flags: number,
    pseudo: readonly string[],
    raw: readonly string[],
    allowedLength: string | undefined,
  ): number {
    const { output, encoder } = this;
    let room = frameHeaderOctets + blockOverhead;
    for (let i = 0; i < pseudo.length; i++) room += pseudo[i]!.length + fieldOverhead;
    for (let i = 0; i < raw.length; i++) room += raw[i]!.length + fieldOverhead;
    output.reserve(room);
    const { bytes } = output;
    const position = output.at;
    const blockStart = position + frameHeaderOctets;
    let at = encoder.begin(bytes, blockStart);
    for (let i = 0; i < pseudo.length; i += 2) at = encoder.field(bytes, at, pseudo[i]!, pseudo[i + 1]!);
    for (let i = 0; i < raw.length; i += 2) {
      const name = raw[i]!;
      const value = raw[i + 1]!;
      if (
        allowedLength !== undefined &&
        name.length === 14 &&
        value !== allowedLength &&
        isContentLength(name)
      )
        continue;
      at = encoder.field(bytes, at, name, value);
    }
    const octets = at - blockStart;
    if (octets <= this.peer.maxFrameSize) {
      output.header(position, octets, FrameType.headers, flags | Flag.endHeaders, streamId);
      output.at = at;
    } else this.#writeLongBlock(streamId, flags, Buffer.from(bytes.subarray(blockStart, at)));
    return position;
  }

  writeTrailers(streamId: number, trailers: HeaderList): void {
    this.writeHeaders(streamId, Flag.endStream, [], trailers.raw, undefined);
  }

  #writeLongBlock(streamId: number, flags: number, block: Buffer): void {
    const most = this.peer.maxFrameSize;
    for (let start = 0; start < block.length; start += most) {
      const piece = block.subarray(start, start + most);
      const isLast = start + most >= block.length;
      const type = start === 0 ? FrameType.headers : FrameType.continuation;
      const own = start === 0 ? flags : 0;
      this.output.frame(type, isLast ? own | Flag.endHeaders : own, streamId, piece);
    }
  }

  sendReset(streamId: number, code: number): void {
    if (this.isClosed) return;
    this.output.word(FrameType.rstStream, streamId, code);
    if (this.#ourResets.size >= rememberedResets)
      for (const oldest of this.#ourResets) {
        this.#ourResets.delete(oldest);
        break;
      }
    this.#ourResets.add(streamId);
  }

  sendGoaway(lastStreamId: number, code: number, detail: string = ""): void {
    const payload = Buffer.alloc(8 + detail.length);
    payload.writeUInt32BE(lastStreamId, 0);
    payload.writeUInt32BE(code, 4);
    payload.write(detail, 8, "latin1");
    this.output.frame(FrameType.goaway, 0, 0, payload);
  }

  sendPing(): void {
    this.output.frame(FrameType.ping, 0, 0, pingPayload);
  }

  // --- streams ---

  /** The stream has something to send, and no room for it now. */
  queue(stream: Http2Stream): void {
    if (stream.isQueued) return;
    stream.isQueued = true;
    this.#queue.push(stream);
  }

  remove(stream: Http2Stream): void {
    this.streams.delete(stream.id);
    this.#owner.streamRemoved(stream);
  }

  /** DATA went out: the peer may say of each frame that there is room again, for the stream and for the connection. */
  earnIdleFrames(): void {
    this.#idleFrames.earn(2);
  }

  /** A request was answered completely. */
  earnReset(): void {
    this.#resets.earn(1);
  }

  /** Gives each stream that waits its turn, for as long as there is room. */
  #pump(): void {
    const { output } = this;
    while (this.#queue.length > 0 && !output.isFull && this.sendWindow > 0 && !this.isClosed) {
      const turn = this.#queue;
      this.#queue = [];
      for (let i = 0; i < turn.length; i++) {
        const stream = turn[i]!;
        stream.isQueued = false;
        if (stream.isGone) continue;
        if (output.isFull || this.sendWindow <= 0 || stream.sendTurn()) this.queue(stream);
      }
    }
  }

  // --- errors ---

  /** An error of one stream resets it; any other ends the connection. */
  #streamFailed(thrown: unknown): void {
    if (!(thrown instanceof Http2Error) || thrown.streamId === 0) throw thrown;
    const stream = this.streams.get(thrown.streamId);
    if (stream !== undefined) {
      stream.reset(thrown.code);
      stream.broken(streamError(thrown, this.peer.isServer));
    } else this.sendReset(thrown.streamId, thrown.code);
    // Whoever makes us reset streams floods as well as who resets them (CVE-2025-8671).
    this.#spendReset();
  }

  #fail(error: Http2Error): void {
    this.sendGoaway(this.lastPeerStream, error.code, error.message);
    this.output.flush();
    this.#owner.violated(error);
  }

  #spendIdleFrame(): void {
    if (!this.#idleFrames.spend(this.#clock.monotonic()))
      throw new Http2Error(ErrorCode.enhanceYourCalm, "http2.too_many_control_frames");
  }

  #spendReset(): void {
    if (!this.#resets.spend(this.#clock.monotonic()))
      throw new Http2Error(ErrorCode.enhanceYourCalm, "http2.too_many_resets");
  }
}

const noOctets = new Uint8Array(0);
const pingPayload: Buffer = Buffer.from("weftping", "latin1");

/** How an error of a stream looks to what waits for it: a server's fault upstream, a client's downstream. */
function streamError(error: Http2Error, peerIsServer: boolean): MeshError {
  return meshError(peerIsServer ? "upstream_protocol_error" : "bad_request", error.message, error);
}

function isContentLength(name: string): boolean {
  return name === "content-length" || name.toLowerCase() === "content-length";
}

function protocolError(why: string): Http2Error {
  return new Http2Error(ErrorCode.protocolError, `http2.${why}`);
}

function sizeError(why: string): Http2Error {
  return new Http2Error(ErrorCode.frameSizeError, `http2.${why}`);
}
