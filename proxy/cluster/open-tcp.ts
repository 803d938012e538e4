import type { Socket } from "node:net";
import { isIP } from "node:net";
import { addressHash } from "../../common/base/address-hash.ts";
import type { Random } from "../../common/base/random.ts";
import type { TcpKeepalive } from "../../common/model/connection-pool.ts";
import type { TcpProxy } from "../../common/model/listener.ts";
import type { SocketAddress } from "../../common/model/node.ts";
import { pickWeighted } from "../../common/routing/pick-weighted.ts";
import { meshError, toMeshError } from "../errors.ts";
import type { TcpConnection } from "../net/tcp-connection.ts";
import type { ClusterManager } from "./cluster-manager.ts";
import type { DialAddress, UpstreamTls } from "./connect.ts";
import { bindAddressTo } from "./connect.ts";
import type { EndpointState } from "./endpoint-state.ts";
import { endpointKey } from "./endpoint-state.ts";
import type { AddressResolver } from "./resolver.ts";
import type { UpstreamCluster } from "./upstream-cluster.ts";
import { servicePort } from "./upstream-cluster.ts";

export interface TcpParts {
  readonly clusters: ClusterManager;
  readonly random: Random;
  readonly resolver: AddressResolver;
  /** Whether this proxy itself listens there. */
  readonly isOwnListener: (address: string, port: number) => boolean;
  /** Rejects with MeshError `connect_*`. */
  readonly connect: (
    address: DialAddress,
    timeoutMs: number,
    keepalive: TcpKeepalive | undefined,
    tls: UpstreamTls | undefined,
  ) => Promise<Socket>;
}

/** The upstream's end of a connection that is passed on. */
export interface TcpUpstream {
  readonly socket: Socket;
  /** ms after which the cluster wants its connections to end. */
  readonly maxDurationMs: number | undefined;
  /** To be called once, when the connection is over. */
  release(): void;
}

/** Attempts at one connection before its client is told; each picks anew (Envoy's max_connect_attempts is 1). */
const maxAttempts = 3;

/**
 * Opens a connection to an endpoint of the cluster that the weights choose, and notes on `connection` where it goes. Rejects with
 * MeshError `no_cluster`, `no_healthy_upstream`, `no_route`, `upstream_overflow` or `connect_*`.
 */
export async function openTcp(
  proxy: TcpProxy,
  connection: TcpConnection,
  parts: TcpParts,
): Promise<TcpUpstream> {
  const { cluster: name } = pickWeighted(proxy.destinations, parts.random);
  connection.cluster = name;
  const cluster = parts.clusters.get(name);
  if (cluster?.config === undefined) throw meshError("no_cluster", "cluster_not_found");
  if (!cluster.isWarm) await new Promise<void>((resolve) => cluster.whenWarm(resolve));
  const { load } = cluster;
  const { maxConnections } = load.limits;
  if (maxConnections !== undefined && load.connections >= maxConnections)
    throw meshError("upstream_overflow", "max_connections");
  load.connections++;
  try {
    return cluster.config.discovery.kind === "original-dst"
      ? await dialNamed(cluster, connection, parts)
      : await dialEndpoint(cluster, connection, parts, proxy.hashesBySource);
  } catch (cause) {
    load.connections--;
    throw cause;
  }
}

async function dialEndpoint(
  cluster: UpstreamCluster,
  connection: TcpConnection,
  parts: TcpParts,
  hashesBySource = false,
): Promise<TcpUpstream> {
  const hash = hashesBySource ? addressHash(connection.downstream.remote.host) : undefined;
  for (;;) {
    const state = cluster.pick(hash, connection.attempts);
    if (state === undefined) throw meshError("no_healthy_upstream", "no_healthy_endpoint");
    connection.upstream = state.host;
    connection.attempts++;
    state.requests++;
    state.pool.active++;
    try {
      const { address, port, tlsMode } = state.endpoint;
      const socket = await dial(cluster, { host: address, port }, address, connection, parts, tlsMode);
      if (cluster.outlier !== undefined) cluster.outlier.answered(state.outlier, 200);
      return upstreamOf(cluster, socket, state);
    } catch (cause) {
      state.pool.active--;
      if (cluster.outlier !== undefined) cluster.outlier.failed(state.outlier, 503);
      if (connection.attempts >= maxAttempts) throw toMeshError(cause);
    }
  }
}

/**
 * To where the connection was meant to go; in explicit mode, where only TLS says that, to the server name that it asked for. A loop to
 * this proxy itself is refused.
 */
async function dialNamed(
  cluster: UpstreamCluster,
  connection: TcpConnection,
  parts: TcpParts,
): Promise<TcpUpstream> {
  const { destination, serverName, local } = connection.downstream;
  const port = servicePort(cluster.name) ?? destination?.port ?? local.port;
  const host = destination?.host ?? (await resolve(serverName, parts.resolver));
  if (parts.isOwnListener(host, port)) throw meshError("no_route", "loop_to_own_listener");
  connection.upstream = { address: endpointKey({ address: host, port }), workload: undefined };
  connection.attempts++;
  const socket = await dial(cluster, { host, port }, serverName ?? host, connection, parts);
  return upstreamOf(cluster, socket, undefined);
}

async function resolve(serverName: string | undefined, resolver: AddressResolver): Promise<string> {
  if (serverName === undefined) throw meshError("no_route", "connection_names_no_address");
  const { addresses } = await resolver.resolve(serverName).catch((cause: unknown) => {
    throw meshError("no_healthy_upstream", "name_not_resolved", cause);
  });
  const address = addresses.find((candidate) => isIP(candidate) !== 0);
  if (address === undefined) throw meshError("no_healthy_upstream", "name_not_resolved");
  return address;
}

async function dial(
  cluster: UpstreamCluster,
  address: SocketAddress,
  name: string,
  connection: TcpConnection,
  { connect }: TcpParts,
  tlsMode?: "istio",
): Promise<Socket> {
  const config = cluster.config;
  if (config === undefined) throw meshError("no_cluster", "cluster_not_found");
  const hostname = config.service?.hostname;
  // A wildcard is no name that a certificate could be for.
  const serverName = hostname === undefined || hostname.startsWith("*") ? name : hostname;
  const settings = config.tls ?? (tlsMode === "istio" ? config.mutualTls : undefined);
  const tls = settings && { settings, serverName };
  const from = bindAddressTo(address.host, config);
  const { tcpKeepalive } = cluster.load.limits;
  const socket = await connect({ ...address, from }, config.connectTimeoutMs, tcpKeepalive, tls);
  const { localAddress, localPort } = socket;
  if (localAddress !== undefined && localPort !== undefined)
    connection.upstreamLocal = endpointKey({ address: localAddress, port: localPort });
  return socket;
}

function upstreamOf(cluster: UpstreamCluster, socket: Socket, state: EndpointState | undefined): TcpUpstream {
  let isOpen = true;
  return {
    socket,
    maxDurationMs: cluster.load.limits.maxConnectionDurationMs,
    release: () => {
      if (!isOpen) return;
      isOpen = false;
      cluster.load.connections--;
      if (state !== undefined) state.pool.active--;
    },
  };
}
