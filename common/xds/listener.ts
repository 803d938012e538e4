import type { Result } from "../base/result.ts";
import type { DnsTable } from "../model/dns.ts";
import type {
  FilterChain,
  HttpConnectionManager,
  Listener,
  RouteSource,
  TcpProxy,
} from "../model/listener.ts";
import { AccessReader, toAccessFilters } from "./access-filters.ts";
import { fromNetworkFilters, toNetworkFilters } from "./access-network-filters.ts";
import { fromChainMatch, toChainMatch } from "./chain-match.ts";
import type { ChainNotes } from "./chain-notes.ts";
import { chainNotes, fromChainNotes } from "./chain-notes.ts";
import { adsConfigSource } from "./config-source.ts";
import { dnsFilterType, fromDnsFilter, toDnsFilter } from "./dns-filter.ts";
import { corsFilter, faultFilter } from "./filter-config.ts";
import messages from "./generated/messages.js";
import { fromEdgeFields, fromPathFields, toEdgeFields, toPathFields } from "./http-entry.ts";
import { fromRouteConfiguration, toRouteConfiguration } from "./route.ts";
import { fromTcpProxy, tcpProxyType, toTcpProxy } from "./tcp-proxy.ts";
import { fromServerSocket, toServerSocket } from "./tls.ts";
import { fromWeftMetadata, sourceFromJson, sourceToJson, text, toWeftMetadata } from "./weft-metadata.ts";
import type { Reading } from "./wire.ts";
import { anyType, decodeMessage, packAny, readMessage } from "./wire.ts";

type WireListener = messages.envoy.config.listener.v3.Listener;
type WireListenerFilter = messages.envoy.config.listener.v3.ListenerFilter;
type WireFilterChain = messages.envoy.config.listener.v3.FilterChain;
type WireManager = messages.envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager;
type HttpFilter = messages.envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter;

const { HTTPFault } = messages.envoy.extensions.filters.http.fault.v3;
const { Cors } = messages.envoy.extensions.filters.http.cors.v3;
const { Router } = messages.envoy.extensions.filters.http.router.v3;
const { HttpConnectionManager: ManagerCodec } =
  messages.envoy.extensions.filters.network.http_connection_manager.v3;
const { TlsInspector } = messages.envoy.extensions.filters.listener.tls_inspector.v3;
const { ProxyProtocol } = messages.envoy.extensions.filters.listener.proxy_protocol.v3;
const { HttpInspector } = messages.envoy.extensions.filters.listener.http_inspector.v3;
const { OriginalDst } = messages.envoy.extensions.filters.listener.original_dst.v3;
const ListenerCodec = messages.envoy.config.listener.v3.Listener;

const inspectorType = "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector";
const httpInspectorType = "envoy.extensions.filters.listener.http_inspector.v3.HttpInspector";
const proxyProtocolType = "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol";
const originalDstType = "envoy.extensions.filters.listener.original_dst.v3.OriginalDst";
const managerType = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const filterTypes = {
  cors: "envoy.extensions.filters.http.cors.v3.Cors",
  fault: "envoy.extensions.filters.http.fault.v3.HTTPFault",
  router: "envoy.extensions.filters.http.router.v3.Router",
};
/** SocketAddress.Protocol */
const udp = 1;
const directions = ["", "inbound", "outbound"] as const;

export function encodeListener(listener: Listener): Uint8Array {
  const isGateway = listener.direction === "gateway";
  const metadata = toWeftMetadata({
    source: sourceToJson(listener.source),
    // Envoy's TrafficDirection does not know gateways; Istio calls theirs outbound.
    direction: isGateway ? "gateway" : undefined,
  });
  const filters = listenerFilters(listener);
  return ListenerCodec.encode({
    name: listener.name,
    address: {
      socketAddress: {
        address: listener.address,
        portValue: listener.port,
        ...(listener.dns ? { protocol: udp } : {}),
      },
    },
    filterChains: listener.filterChains.map(toFilterChain),
    ...(filters.length > 0 ? { listenerFilters: filters } : {}),
    ...(listener.bindsPort === false ? { bindToPort: { value: false } } : {}),
    ...(listener.usesOriginalDestination ? { useOriginalDst: { value: true } } : {}),
    trafficDirection: listener.direction === "inbound" ? 1 : 2,
    ...(metadata ? { metadata } : {}),
  }).finish();
}

/** Listeners that choose their filter chain by something else than the TLS server name are refused. Never throws. */
export function decodeListener(bytes: Uint8Array): Result<Listener> {
  return readMessage(ListenerCodec, bytes, fromListener);
}

function fromListener(message: WireListener, reading: Reading): Listener {
  reading.refuseUnknown(message, "envoy.config.listener.v3.Listener", "", [
    "filterChainMatcher",
    "additionalAddresses",
    "internalListener",
    "udpListenerConfig",
  ]);
  const socket = message.address?.socketAddress;
  if (!message.name) reading.problem("name", "is empty");
  if (!socket?.address || !socket.portValue)
    reading.problem("address", "must be a socket address with a port number");
  const wireChains = [
    ...(message.filterChains ?? []),
    ...(message.defaultFilterChain ? [message.defaultFilterChain] : []),
  ];
  const isUdp = socket?.protocol === udp;
  if (wireChains.length === 0 && !isUdp) reading.problem("filterChains", "is empty");
  const dns = isUdp ? readDnsListener(message, reading) : undefined;
  if (!isUdp) refuseForeignListenerFilters(message, reading);
  const weft = fromWeftMetadata(message.metadata);
  const source = sourceFromJson(weft.source);
  const filterChains: FilterChain[] = [];
  for (const [index, chain] of wireChains.entries()) {
    const read = fromFilterChain(chain, `filterChains[${index}]`, reading);
    if (read) filterChains.push(read);
  }
  return {
    name: message.name ?? "",
    address: socket?.address ?? "",
    port: socket?.portValue ?? 0,
    direction:
      text(weft, "direction") === "gateway"
        ? "gateway"
        : directions[message.trafficDirection ?? 0] || "gateway",
    filterChains,
    ...(dns ? { dns } : {}),
    ...((message.listenerFilters ?? []).some(isProxyProtocol) ? { expectsProxyHeader: true as const } : {}),
    ...(message.bindToPort?.value === false ? { bindsPort: false as const } : {}),
    ...(message.useOriginalDst?.value ? { usesOriginalDestination: true as const } : {}),
    ...(source ? { source } : {}),
  };
}

/** Envoy reads the ClientHello only when a filter says so. */
function looksAtTls({ serverNames = [], transport, applicationProtocols = [] }: FilterChain): boolean {
  return serverNames.length + applicationProtocols.length > 0 || transport !== undefined;
}

/** What is no TLS says what it speaks only by its first line. */
function looksAtHttp({ transport, applicationProtocols = [] }: FilterChain): boolean {
  return transport === "raw" && applicationProtocols.length > 0;
}

function toFilterChain(chain: FilterChain): WireFilterChain {
  const match = toChainMatch(chain);
  const metadata = toWeftMetadata(chainNotes(chain));
  return {
    name: chain.name,
    ...(match ? { filterChainMatch: match } : {}),
    ...(metadata ? { metadata } : {}),
    ...(chain.tls ? { transportSocket: toServerSocket(chain.tls) } : {}),
    filters: [
      ...toNetworkFilters(chain.http ? undefined : chain.access, chain.http?.edge?.maxConnections),
      chain.http
        ? {
            name: "envoy.filters.network.http_connection_manager",
            typedConfig: packAny(managerType, ManagerCodec, toManager(chain.http)),
          }
        : toTcpProxy(chain.tcp),
    ],
  };
}

function listenerFilters(listener: Listener): WireListenerFilter[] {
  return [
    ...(listener.expectsProxyHeader
      ? [
          {
            name: "envoy.filters.listener.proxy_protocol",
            typedConfig: packAny(proxyProtocolType, ProxyProtocol, {}),
          },
        ]
      : []),
    ...(listener.dns ? [toDnsFilter(listener.dns)] : []),
    ...(listener.usesOriginalDestination
      ? [
          {
            name: "envoy.filters.listener.original_dst",
            typedConfig: packAny(originalDstType, OriginalDst, {}),
          },
        ]
      : []),
    ...(listener.filterChains.some(looksAtTls)
      ? [
          {
            name: "envoy.filters.listener.tls_inspector",
            typedConfig: packAny(inspectorType, TlsInspector, {}),
          },
        ]
      : []),
    ...(listener.filterChains.some(looksAtHttp)
      ? [
          {
            name: "envoy.filters.listener.http_inspector",
            typedConfig: packAny(httpInspectorType, HttpInspector, {}),
          },
        ]
      : []),
  ];
}

/** The one thing that is understood over UDP. */
function readDnsListener({ listenerFilters }: WireListener, reading: Reading): DnsTable | undefined {
  const [filter, ...others] = listenerFilters ?? [];
  if (filter && others.length === 0 && anyType(filter.typedConfig) === dnsFilterType)
    return fromDnsFilter(filter, "listenerFilters[0]", reading);
  reading.problem("listenerFilters", "over UDP only Envoy's dns_filter is supported, alone");
  return undefined;
}

/** First bytes are always read where a chain asks for it, so the filters that read them for Envoy say nothing new. */
function refuseForeignListenerFilters({ listenerFilters }: WireListener, reading: Reading): void {
  for (const [index, filter] of (listenerFilters ?? []).entries()) {
    const type = anyType(filter.typedConfig);
    if (type === proxyProtocolType) refuseLaxProxyProtocol(filter, `listenerFilters[${index}]`, reading);
    else if (type !== inspectorType && type !== httpInspectorType && type !== originalDstType)
      reading.problem(`listenerFilters[${index}]`, `the filter ${JSON.stringify(type)} is not supported`);
  }
}

function isProxyProtocol({ typedConfig }: WireListenerFilter): boolean {
  return anyType(typedConfig) === proxyProtocolType;
}

/** Where the header may be missing, clients could write one themselves. */
function refuseLaxProxyProtocol({ typedConfig }: WireListenerFilter, path: string, reading: Reading): void {
  const message = decodeMessage(ProxyProtocol, typedConfig?.value ?? new Uint8Array(), path, reading);
  if (message === undefined) return;
  reading.refuseUnknown(message, proxyProtocolType, path);
  if (message.allowRequestsWithoutProxyProtocol)
    reading.problem(`${path}.allowRequestsWithoutProxyProtocol`, "is not supported");
}

function fromFilterChain(chain: WireFilterChain, path: string, reading: Reading): FilterChain | undefined {
  reading.refuseUnknown(chain, "envoy.config.listener.v3.FilterChain", path);
  const match = fromChainMatch(chain.filterChainMatch, `${path}.filterChainMatch`, reading);
  const weft = fromWeftMetadata(chain.metadata);
  const source = sourceFromJson(weft.source);
  const notes = fromChainNotes(weft);
  const socket = chain.transportSocket;
  const tls = socket ? fromServerSocket(socket, `${path}.transportSocket`, reading) : undefined;
  const head = {
    name: chain.name ?? "",
    ...match,
    ...(source ? { source } : {}),
    ...(tls ? { tls } : {}),
  };
  const network = fromNetworkFilters(chain.filters ?? [], notes, `${path}.filters`, reading);
  const [filter, ...others] = network.others;
  const at = `${path}.filters[${(chain.filters ?? []).length - 1 - others.length}]`;
  if (others.length > 0) reading.problem(`${path}.filters`, "has more than one network filter");
  const type = anyType(filter?.typedConfig);
  if (filter && type === tcpProxyType) {
    const tcp: TcpProxy | undefined = fromTcpProxy(filter, at, reading);
    return tcp && { ...head, tcp, ...(network.access ? { access: network.access } : {}) };
  }
  if (!filter || type !== managerType) {
    reading.problem(
      at,
      `${type === "" ? "no filter" : `a filter of type ${type}`}, where the HTTP connection manager is expected`,
    );
    return undefined;
  }
  const manager = decodeMessage(ManagerCodec, filter.typedConfig?.value ?? new Uint8Array(), at, reading);
  if (network.access) reading.problem(at, "has rules for connections, which are supported for TCP only");
  return manager && { ...head, http: fromManager(manager, { ...notes, ...network }, at, reading) };
}

function toManager(http: HttpConnectionManager): WireManager {
  return {
    statPrefix: http.statPrefix,
    ...toRoutes(http.routes),
    httpFilters: [
      ...toAccessFilters(http.access),
      { name: corsFilter, typedConfig: packAny(filterTypes.cors, Cors, {}) },
      { name: faultFilter, typedConfig: packAny(filterTypes.fault, HTTPFault, {}) },
      { name: "envoy.filters.http.router", typedConfig: packAny(filterTypes.router, Router, {}) },
    ],
    upgradeConfigs: [{ upgradeType: "websocket" }],
    ...toPathFields(http.path),
    ...toEdgeFields(http.edge),
  };
}

function toRoutes(routes: RouteSource): Pick<WireManager, "rds" | "routeConfig"> {
  if (routes.kind === "inline") return { routeConfig: toRouteConfiguration(routes.configuration) };
  return { rds: { routeConfigName: routes.routeConfigName, configSource: adsConfigSource() } };
}

function fromManager(
  manager: WireManager,
  notes: ChainNotes & { readonly maxConnections?: number },
  path: string,
  reading: Reading,
): HttpConnectionManager {
  const reader = new AccessReader(notes, reading);
  for (const [index, filter] of (manager.httpFilters ?? []).entries()) {
    const at = `${path}.httpFilters[${index}]`;
    if (filter.disabled || !reader.take(filter, at)) refuseForeignFilter(filter, at, reading);
  }
  const { access } = reader;
  const normalization = fromPathFields(manager, notes.pathParameters, path, reading);
  const edge = fromEdgeFields(manager, notes.maxConnections);
  return {
    statPrefix: manager.statPrefix ?? "",
    routes: fromRoutes(manager, path, reading),
    ...(normalization ? { path: normalization } : {}),
    ...(edge ? { edge } : {}),
    ...(access ? { access } : {}),
  };
}

/** A filter that is skipped may be the one that keeps requests out, so only those marked optional or disabled are. */
function refuseForeignFilter(filter: HttpFilter, path: string, reading: Reading): void {
  if (filter.isOptional || filter.disabled) return;
  const type = anyType(filter.typedConfig);
  if (type === filterTypes.fault) {
    const fault = decodeMessage(HTTPFault, filter.typedConfig?.value ?? new Uint8Array(), path, reading);
    if (fault?.abort || fault?.delay || fault?.responseRateLimit)
      reading.problem(path, "faults are supported on routes only");
  } else if (type !== filterTypes.cors && type !== filterTypes.router) {
    reading.problem(
      path,
      `the filter ${JSON.stringify(filter.name)} of type ${JSON.stringify(type)} is not supported`,
    );
  }
}

function fromRoutes(manager: WireManager, path: string, reading: Reading): RouteSource {
  if (manager.routeConfig) {
    const configuration = fromRouteConfiguration(manager.routeConfig, `${path}.routeConfig`, reading);
    return { kind: "inline", configuration };
  }
  const { routeConfigName, configSource } = manager.rds ?? {};
  if (!routeConfigName)
    reading.problem(path, "names no routes that this version understands", "use rds or route_config");
  else if (!configSource?.ads) reading.problem(`${path}.rds.configSource`, "only ADS is supported");
  return { kind: "rds", routeConfigName: routeConfigName ?? "" };
}
