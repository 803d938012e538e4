import { once } from "node:events";
import type { Socket } from "node:net";
import { connect } from "node:net";
import { Flag, FrameType } from "../../proxy/http/http2/frame.ts";
import { HpackDecoder } from "../../proxy/http/http2/hpack/decoder.ts";
import { HpackEncoder } from "../../proxy/http/http2/hpack/encoder.ts";

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly payload: Buffer;
}

/** A client that writes whatever frames a test wants, and keeps what comes back. */
export class Http2Peer {
  readonly frames: Frame[] = [];
  readonly socket: Socket;
  isClosed = false;
  readonly #encoder = new HpackEncoder();
  readonly #decoder = new HpackDecoder({ maxOctets: 1 << 20, maxFields: 1_000 });
  #held: Buffer = Buffer.alloc(0);

  constructor(port: number, host: string = "127.0.0.1") {
    this.socket = connect({ port, host, noDelay: true });
    this.socket.on("data", (chunk: Buffer) => this.#read(chunk));
    this.socket.on("error", () => {});
    this.socket.on("close", () => {
      this.isClosed = true;
    });
  }

  /** Opens the connection and says what a client says first. */
  async begin(settings: readonly (readonly [id: number, value: number])[] = []): Promise<this> {
    await once(this.socket, "connect");
    this.write(Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    const payload = Buffer.alloc(settings.length * 6);
    for (const [i, [id, value]] of settings.entries()) {
      payload.writeUInt16BE(id, i * 6);
      payload.writeUInt32BE(value, i * 6 + 2);
    }
    this.frame(FrameType.settings, 0, 0, payload);
    return this;
  }

  write(bytes: Buffer): void {
    if (!this.socket.destroyed && !this.socket.writableEnded) this.socket.write(bytes);
  }

  frame(type: number, flags: number, id: number, payload: Uint8Array = new Uint8Array(0)): void {
    this.write(frameBytes(type, flags, id, payload));
  }

  block(fields: readonly string[]): Buffer {
    const bytes = Buffer.alloc(fields.reduce((sum, text) => sum + text.length + 12, 24));
    let at = this.#encoder.begin(bytes, 0);
    for (let i = 0; i < fields.length; i += 2)
      at = this.#encoder.field(bytes, at, fields[i]!, fields[i + 1]!);
    return bytes.subarray(0, at);
  }

  /** A request; `fields` come behind the four pseudo-header fields. */
  request(
    id: number,
    options: {
      readonly method?: string;
      readonly path?: string;
      readonly fields?: readonly string[];
      readonly ends?: boolean;
    } = {},
  ): void {
    const { method = "GET", path = "/", fields = [], ends = true } = options;
    const all = [":method", method, ":scheme", "http", ":authority", "app.test", ":path", path, ...fields];
    this.headers(id, all, ends);
  }

  /** In as many frames as it takes. */
  headers(id: number, fields: readonly string[], ends: boolean): void {
    const block = this.block(fields);
    for (let start = 0; start === 0 || start < block.length; start += 16_384) {
      const isLast = start + 16_384 >= block.length;
      const flags = (isLast ? Flag.endHeaders : 0) | (ends && start === 0 ? Flag.endStream : 0);
      const type = start === 0 ? FrameType.headers : FrameType.continuation;
      this.frame(type, flags, id, block.subarray(start, start + 16_384));
    }
  }

  data(id: number, bytes: Uint8Array, ends: boolean): void {
    this.frame(FrameType.data, ends ? Flag.endStream : 0, id, bytes);
  }

  reset(id: number): void {
    this.frame(FrameType.rstStream, 0, id, Buffer.from([0, 0, 0, 8]));
  }

  /** The heads that came, by stream, as fields. */
  readonly heads = new Map<number, readonly string[]>();

  /** `:status` of a stream's answer; undefined before it came. */
  status(id: number): string | undefined {
    return this.heads.get(id)?.[1];
  }

  /** Error code of the RST_STREAM that came for a stream. */
  resetOf(id: number): number | undefined {
    return this.frames
      .find((frame) => frame.type === FrameType.rstStream && frame.id === id)
      ?.payload.readUInt32BE(0);
  }

  /** Error code of the last GOAWAY. */
  get goaway(): number | undefined {
    return this.frames.findLast(({ type }) => type === FrameType.goaway)?.payload.readUInt32BE(4);
  }

  /** Octets of DATA that came for a stream. */
  octets(id: number): number {
    return this.frames
      .filter((frame) => frame.type === FrameType.data && frame.id === id)
      .reduce((sum, { payload }) => sum + payload.length, 0);
  }

  stop(): void {
    this.socket.destroy();
  }

  #read(chunk: Buffer): void {
    this.#held = Buffer.concat([this.#held, chunk]);
    while (this.#held.length >= 9) {
      const length = this.#held.readUIntBE(0, 3);
      if (this.#held.length < 9 + length) return;
      const [type, flags] = [this.#held[3]!, this.#held[4]!];
      const id = this.#held.readUInt32BE(5);
      const payload = Buffer.from(this.#held.subarray(9, 9 + length));
      this.#held = this.#held.subarray(9 + length);
      this.frames.push({ type, flags, id, payload });
      if (type === FrameType.headers) {
        const { fields } = this.#decoder.decode(payload, 0, payload.length);
        if (!this.heads.has(id)) this.heads.set(id, fields);
      }
      if (type === FrameType.settings && (flags & Flag.ack) === 0)
        this.frame(FrameType.settings, Flag.ack, 0);
      if (type === FrameType.ping && (flags & Flag.ack) === 0)
        this.frame(FrameType.ping, Flag.ack, 0, payload);
    }
  }
}

export function frameBytes(type: number, flags: number, id: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(9 + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(id, 5);
  bytes.set(payload, 9);
  return bytes;
}
