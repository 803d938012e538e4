/** Frame types of RFC 9113 section 6. */
export const FrameType = Object.freeze({
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
});

export const Flag = Object.freeze({ endStream: 0x1, ack: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 });

/** RFC 9113 section 7. */
export const ErrorCode = Object.freeze({
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  connectError: 10,
  enhanceYourCalm: 11,
});

const errorNames = [
  "no_error",
  "protocol_error",
  "internal_error",
  "flow_control_error",
  "settings_timeout",
  "stream_closed",
  "frame_size_error",
  "refused_stream",
  "cancel",
  "compression_error",
  "connect_error",
  "enhance_your_calm",
  "inadequate_security",
  "http_1_1_required",
];

/** For RESPONSE_CODE_DETAILS: `http2.reset_cancel`. */
export function errorName(code: number): string {
  return errorNames[code] ?? "unknown_error";
}

/** Octets in front of every payload. */
export const frameHeaderOctets = 9;

/** The largest payload that we take, which is the smallest that a peer must be allowed (SETTINGS_MAX_FRAME_SIZE). */
export const maxFramePayload = 16_384;

/** What a client says first (RFC 9113 3.4). */
export const clientPreface: Buffer = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** Flow-control windows, stream numbers and increments end here. */
export const maxUint31 = 0x7fff_ffff;

/** What the peer did is against the protocol. Stream 0 stands for the whole connection. */
export class Http2Error extends Error {
  readonly code: number;
  readonly streamId: number;

  constructor(code: number, detail: string, streamId: number = 0) {
    super(detail);
    this.name = "Http2Error";
    this.code = code;
    this.streamId = streamId;
  }
}
