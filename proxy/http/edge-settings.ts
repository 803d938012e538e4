import type { EdgeSettings } from "../../common/model/edge.ts";
import type { HttpServerSettings } from "./http-server.ts";

/** What a listener that strangers reach makes of the proxy's own limits. */
export function atEdge(settings: HttpServerSettings, edge: EdgeSettings | undefined): HttpServerSettings {
  if (edge === undefined) return settings;
  return {
    ...settings,
    maxHeaderBytes: edge.maxHeaderBytes,
    maxHeaderCount: edge.maxHeaderCount,
    headerTimeoutMs: edge.headerTimeoutMs,
    idleTimeoutMs: edge.streamIdleTimeoutMs,
    requestTimeoutMs: edge.requestTimeoutMs,
    keepAliveTimeoutMs: edge.connectionIdleTimeoutMs,
  };
}
