import type { Cluster, UpstreamProtocol } from "../model/cluster.ts";
import type { ConnectionPool, Http2Keepalive } from "../model/connection-pool.ts";
import messages from "./generated/messages.js";
import type { Reading } from "./wire.ts";
import { decodeMessage, fromDuration, packAny, toDuration } from "./wire.ts";

type WireCluster = messages.envoy.config.cluster.v3.Cluster;
type Http2Options = messages.envoy.config.core.v3.Http2ProtocolOptions;

const Codec = messages.envoy.extensions.upstreams.http.v3.HttpProtocolOptions;
const type = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/** What requests are spoken in, and how long their connections live. */
export interface HttpOptions {
  readonly protocol?: UpstreamProtocol;
  readonly pool: ConnectionPool;
}

/** Envoy's HttpProtocolOptions; nothing when all of it is its default. */
export function toHttpOptions({
  protocol,
  connectionPool = {},
}: Pick<Cluster, "protocol" | "connectionPool">): WireCluster {
  const { idleTimeoutMs, maxConnectionDurationMs, maxRequestsPerConnection } = connectionPool;
  const { maxConcurrentStreams, http2Keepalive } = connectionPool;
  const common = {
    ...(idleTimeoutMs === undefined ? {} : { idleTimeout: toDuration(idleTimeoutMs) }),
    ...(maxConnectionDurationMs === undefined
      ? {}
      : { maxConnectionDuration: toDuration(maxConnectionDurationMs) }),
    ...(maxRequestsPerConnection === undefined
      ? {}
      : { maxRequestsPerConnection: { value: maxRequestsPerConnection } }),
  };
  const http2: Http2Options = {
    ...(maxConcurrentStreams === undefined ? {} : { maxConcurrentStreams: { value: maxConcurrentStreams } }),
    ...(http2Keepalive && {
      connectionKeepalive: {
        interval: toDuration(http2Keepalive.intervalMs),
        timeout: toDuration(http2Keepalive.timeoutMs),
      },
    }),
  };
  // Only what may come to speak HTTP/2 can carry its limits.
  const hasHttp2 = protocol !== undefined || Object.keys(http2).length > 0;
  if (Object.keys(common).length === 0 && !hasHttp2) return {};
  const options = { commonHttpProtocolOptions: common, ...versionConfig(protocol, http2) };
  return { typedExtensionProtocolOptions: { [type]: packAny(type, Codec, options) } };
}

function versionConfig(protocol: UpstreamProtocol | undefined, http2: Http2Options) {
  switch (protocol) {
    case "http2":
      return { explicitHttpConfig: { http2ProtocolOptions: http2 } };
    case "client":
      return { useDownstreamProtocolConfig: { httpProtocolOptions: {}, http2ProtocolOptions: http2 } };
    default:
      return { explicitHttpConfig: { httpProtocolOptions: {} } };
  }
}

export function fromHttpOptions(message: WireCluster, reading: Reading): HttpOptions {
  const packed = message.typedExtensionProtocolOptions?.[type];
  const path = `typedExtensionProtocolOptions["${type}"]`;
  const options = packed && decodeMessage(Codec, packed.value ?? new Uint8Array(), path, reading);
  if (!options) return { pool: {} };
  const common = options.commonHttpProtocolOptions;
  const explicit = options.explicitHttpConfig?.http2ProtocolOptions;
  const downstream = options.useDownstreamProtocolConfig;
  const auto = options.autoConfig;
  const http2 = explicit ?? downstream?.http2ProtocolOptions ?? auto?.http2ProtocolOptions;
  // What Envoy leaves to ALPN is HTTP/2 where ALPN agrees to it, here too.
  const protocol = explicit || auto ? "http2" : downstream ? "client" : undefined;
  const keepalive = fromKeepalive(http2);
  const streams = http2?.maxConcurrentStreams?.value;
  return {
    ...(protocol && { protocol }),
    pool: {
      ...(common?.maxRequestsPerConnection?.value
        ? { maxRequestsPerConnection: common.maxRequestsPerConnection.value }
        : {}),
      ...(common?.idleTimeout ? { idleTimeoutMs: fromDuration(common.idleTimeout) } : {}),
      ...(common?.maxConnectionDuration
        ? { maxConnectionDurationMs: fromDuration(common.maxConnectionDuration) }
        : {}),
      ...(streams ? { maxConcurrentStreams: streams } : {}),
      ...(keepalive && { http2Keepalive: keepalive }),
    },
  };
}

/** Without an interval Envoy sends none. */
function fromKeepalive(http2: Http2Options | null | undefined): Http2Keepalive | undefined {
  const { interval, timeout } = http2?.connectionKeepalive ?? {};
  if (!interval || !timeout) return undefined;
  return { intervalMs: fromDuration(interval), timeoutMs: fromDuration(timeout) };
}
