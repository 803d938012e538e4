import type { ResponseHeadLimits } from "./response-head.ts";

export interface Http1ClientSettings extends ResponseHeadLimits {
  /** ms that an idle connection is kept for the next request. Envoy: 1 h. A server's Keep-Alive hint shortens it. */
  readonly idleTimeoutMs: number;
}

export const defaultHttp1ClientSettings: Http1ClientSettings = Object.freeze({
  maxHeaderBytes: 60 * 1024,
  maxHeaderCount: 100,
  idleTimeoutMs: 3_600_000,
});
