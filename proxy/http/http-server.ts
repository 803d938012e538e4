/** Limits and time-outs of the downstream side. Defaults follow Envoy where it has one; each is said with its source. */
export interface HttpServerSettings {
  /** Bytes of the request line and header fields together. Envoy max_request_headers_kb: 60 KiB. */
  readonly maxHeaderBytes: number;
  /** Number of header fields. Envoy max_headers_count: 100. */
  readonly maxHeaderCount: number;
  /** Characters of the request target. */
  readonly maxUrlLength: number;
  /** ms from the first byte of a request to the end of its header section. */
  readonly headerTimeoutMs: number;
  /** ms without a byte either way while a request is under way. Envoy stream_idle_timeout: 5 min. 0 turns it off. */
  readonly idleTimeoutMs: number;
  /** ms a keep-alive connection may wait for its next request. Envoy: 1 h. */
  readonly keepAliveTimeoutMs: number;
  /** ms for the whole request including its body. Envoy request_timeout: off (0). */
  readonly requestTimeoutMs: number;
  /**
   * Pipelined requests of one connection that are taken in one turn of the event loop, before other connections have theirs. One is
   * answered at a time; the bytes behind it wait unparsed, and no more are read from the socket meanwhile.
   */
  readonly maxPipelined: number;
  /** Streams of one HTTP/2 connection at a time (SETTINGS_MAX_CONCURRENT_STREAMS); more are refused and may be sent again. */
  readonly maxConcurrentStreams: number;
}

export const defaultHttpServerSettings: HttpServerSettings = Object.freeze({
  maxHeaderBytes: 60 * 1024,
  maxHeaderCount: 100,
  maxUrlLength: 16 * 1024,
  headerTimeoutMs: 10_000,
  idleTimeoutMs: 300_000,
  keepAliveTimeoutMs: 3_600_000,
  requestTimeoutMs: 0,
  maxPipelined: 16,
  maxConcurrentStreams: 256,
});
