export interface Http2ClientSettings {
  /** Octets of a response's header list, with 32 for each field. */
  readonly maxHeaderBytes: number;
  readonly maxHeaderCount: number;
  /** Exchanges at a time, when the server allows more. */
  readonly maxConcurrentStreams: number;
  /** ms of silence, while answers are awaited, after which a PING asks whether the server still lives. 0 turns it off. */
  readonly pingIntervalMs: number;
  /** ms that it has to answer. */
  readonly pingTimeoutMs: number;
}

export const defaultHttp2ClientSettings: Http2ClientSettings = Object.freeze({
  maxHeaderBytes: 60 * 1024,
  maxHeaderCount: 100,
  maxConcurrentStreams: 1_024,
  pingIntervalMs: 30_000,
  pingTimeoutMs: 10_000,
});
