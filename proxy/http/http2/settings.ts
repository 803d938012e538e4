import { ErrorCode, Http2Error, maxFramePayload, maxUint31 } from "./frame.ts";

const SettingId = Object.freeze({
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
  enableConnectProtocol: 8,
});

/** What the peer allows us (RFC 9113 6.5.2, RFC 8441 3). Fields change as SETTINGS frames come. */
export class PeerSettings {
  headerTableSize = 4_096;
  /** Unlimited until the peer says otherwise; a hundred is what every peer is asked to allow. */
  maxConcurrentStreams = 100;
  initialWindowSize = 65_535;
  maxFrameSize: number = maxFramePayload;
  /** Extended CONNECT may be sent. */
  enableConnectProtocol = false;
  /** The peer is a server and has not spoken, or a client: what it may not send is a connection error. */
  readonly isServer: boolean;

  constructor(isServer: boolean) {
    this.isServer = isServer;
  }

  /** Takes the payload of a SETTINGS frame. Throws Http2Error. */
  read(bytes: Buffer, start: number, end: number): void {
    if ((end - start) % 6 !== 0) throw new Http2Error(ErrorCode.frameSizeError, "http2.settings_length");
    for (let at = start; at < end; at += 6) this.#set(bytes.readUInt16BE(at), bytes.readUInt32BE(at + 2));
  }

  #set(id: number, value: number): void {
    switch (id) {
      case SettingId.headerTableSize:
        this.headerTableSize = value;
        return;
      case SettingId.enablePush:
        if (value > 1 || (this.isServer && value === 1)) throw invalid("enable_push");
        return;
      case SettingId.maxConcurrentStreams:
        this.maxConcurrentStreams = value;
        return;
      case SettingId.initialWindowSize:
        if (value > maxUint31)
          throw new Http2Error(ErrorCode.flowControlError, "http2.invalid_initial_window_size");
        this.initialWindowSize = value;
        return;
      case SettingId.maxFrameSize:
        if (value < maxFramePayload || value > 0xff_ffff) throw invalid("max_frame_size");
        this.maxFrameSize = value;
        return;
      case SettingId.enableConnectProtocol:
        if (value > 1) throw invalid("enable_connect_protocol");
        this.enableConnectProtocol = value === 1;
        return;
    }
  }
}

/** What we allow; left-out fields keep the protocol's defaults. */
export interface OwnSettings {
  readonly enablePush?: boolean;
  readonly maxConcurrentStreams?: number;
  readonly initialWindowSize: number;
  readonly maxHeaderListSize: number;
  readonly enableConnectProtocol?: boolean;
}

/** Payload of our SETTINGS frame. */
export function settingsPayload(own: OwnSettings): Buffer {
  const pairs: [number, number][] = [
    [SettingId.initialWindowSize, own.initialWindowSize],
    [SettingId.maxHeaderListSize, own.maxHeaderListSize],
  ];
  if (own.enablePush === false) pairs.push([SettingId.enablePush, 0]);
  if (own.maxConcurrentStreams !== undefined)
    pairs.push([SettingId.maxConcurrentStreams, own.maxConcurrentStreams]);
  if (own.enableConnectProtocol === true) pairs.push([SettingId.enableConnectProtocol, 1]);
  const payload = Buffer.alloc(pairs.length * 6);
  for (const [i, [id, value]] of pairs.entries()) {
    payload.writeUInt16BE(id, i * 6);
    payload.writeUInt32BE(value, i * 6 + 2);
  }
  return payload;
}

function invalid(name: string): Http2Error {
  return new Http2Error(ErrorCode.protocolError, `http2.invalid_${name}`);
}
