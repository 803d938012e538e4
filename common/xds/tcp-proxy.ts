import type { TcpProxy } from "../model/listener.ts";
import messages from "./generated/messages.js";
import type { Reading } from "./wire.ts";
import { decodeMessage, fromDuration, packAny, toDuration } from "./wire.ts";

type Filter = messages.envoy.config.listener.v3.Filter;

const TcpProxyCodec = messages.envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy;

export const tcpProxyType = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy";

export function toTcpProxy(proxy: TcpProxy): Filter {
  const { statPrefix, destinations, idleTimeoutMs, maxConnectionDurationMs, hashesBySource } = proxy;
  const [only, ...others] = destinations;
  const clusters = destinations.map(({ cluster, weight }) => ({ name: cluster, weight }));
  const target =
    others.length === 0 && only !== undefined
      ? { cluster: only.cluster }
      : { weightedClusters: { clusters: clusters.filter(({ weight }) => weight > 0) } };
  return {
    name: "envoy.filters.network.tcp_proxy",
    typedConfig: packAny(tcpProxyType, TcpProxyCodec, {
      statPrefix,
      ...target,
      ...(idleTimeoutMs === undefined ? {} : { idleTimeout: toDuration(idleTimeoutMs) }),
      ...(maxConnectionDurationMs === undefined
        ? {}
        : { maxDownstreamConnectionDuration: toDuration(maxConnectionDurationMs) }),
      ...(hashesBySource ? { hashPolicy: [{ sourceIp: {} }] } : {}),
    }),
  };
}

/** Undefined after a problem was reported. */
export function fromTcpProxy(filter: Filter, path: string, reading: Reading): TcpProxy | undefined {
  const message = decodeMessage(TcpProxyCodec, filter.typedConfig?.value ?? new Uint8Array(), path, reading);
  if (message === undefined) return undefined;
  reading.refuseUnknown(message, tcpProxyType, path, ["tunnelingConfig", "onDemand"]);
  const destinations = message.cluster
    ? [{ cluster: message.cluster, weight: 1 }]
    : (message.weightedClusters?.clusters ?? []).map(({ name, weight }) => ({
        cluster: name ?? "",
        weight: weight ?? 0,
      }));
  if (destinations.every(({ weight }) => weight === 0)) reading.problem(path, "names no cluster");
  const { idleTimeout, maxDownstreamConnectionDuration: maxDuration, hashPolicy } = message;
  for (const [index, policy] of (hashPolicy ?? []).entries())
    reading.refuseUnknown(policy, "envoy.type.v3.HashPolicy", `${path}.hash_policy[${index}]`);
  return {
    statPrefix: message.statPrefix ?? "",
    destinations,
    ...(idleTimeout ? { idleTimeoutMs: fromDuration(idleTimeout) } : {}),
    ...(maxDuration ? { maxConnectionDurationMs: fromDuration(maxDuration) } : {}),
    ...(hashPolicy?.some(({ sourceIp }) => sourceIp) ? { hashesBySource: true } : {}),
  };
}
