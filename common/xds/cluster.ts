import type { Result } from "../base/result.ts";
import type { Cluster, ClusterDiscovery, ServiceName } from "../model/cluster.ts";
import { fromClusterPolicy, toClusterPolicy } from "./cluster-policy.ts";
import { adsConfigSource } from "./config-source.ts";
import { fromLocalities, toLocalities } from "./endpoint.ts";
import messages from "./generated/messages.js";
import { fromLoadBalancerFields, loadBalancerWord, toLoadBalancerFields } from "./load-balancer.ts";
import { tcpFaultFromJson, tcpFaultToJson } from "./tcp-fault.ts";
import { fromClientSocket, toClientSocket } from "./tls.ts";
import { fromSocketMatches, toSocketMatches } from "./transport-socket-match.ts";
import type { Json, JsonObject } from "./weft-metadata.ts";
import {
  fromWeftMetadata,
  isList,
  number,
  sourceFromJson,
  sourceToJson,
  text,
  toWeftMetadata,
} from "./weft-metadata.ts";
import type { Reading } from "./wire.ts";
import { fromDuration, readMessage, toDuration } from "./wire.ts";

type WireCluster = messages.envoy.config.cluster.v3.Cluster;

const ClusterCodec = messages.envoy.config.cluster.v3.Cluster;
const { DiscoveryType, DnsLookupFamily } = messages.envoy.config.cluster.v3.Cluster;

const clusterType = "envoy.config.cluster.v3.Cluster";
/** Envoy's connect time-out for a cluster that names none. */
const defaultConnectTimeoutMs = 5000;

/** Unknown fields that decide where a connection goes and how it is protected; ignoring them would send traffic astray. */
const decisiveFields = ["clusterType", "transportSocketMatches", "filters", "loadBalancingPolicy"];

export function encodeCluster(cluster: Cluster): Uint8Array {
  const policy = toClusterPolicy(cluster);
  const metadata = toWeftMetadata({
    translatesGrpcWeb: cluster.translatesGrpcWeb,
    source: sourceToJson(cluster.source),
    service: cluster.service && { ...cluster.service },
    subset: cluster.subset,
    loadBalancer: loadBalancerWord(cluster),
    // Envoy's error_matcher is younger than the messages that we have.
    outlierErrorStatuses: cluster.outlierDetection?.errorStatuses,
    tcpFault: tcpFaultToJson(cluster.tcpFault),
    retryBudgetMs: cluster.retryBudget?.intervalMs,
    sharesConnections: cluster.connectionPool?.sharesConnections,
  });
  return ClusterCodec.encode({
    name: cluster.name,
    ...toDiscovery(cluster.name, cluster.discovery),
    ...toLoadBalancerFields(cluster),
    connectTimeout: toDuration(cluster.connectTimeoutMs),
    ...toBindConfig(cluster.bindAddresses),
    ...policy,
    ...(cluster.tls ? { transportSocket: toClientSocket(cluster.tls) } : {}),
    ...(cluster.mutualTls ? { transportSocketMatches: toSocketMatches(cluster.mutualTls) } : {}),
    ...(cluster.loadBalancer.weighsLocalities
      ? { commonLbConfig: { ...policy.commonLbConfig, localityWeightedLbConfig: {} } }
      : {}),
    ...(metadata ? { metadata } : {}),
  }).finish();
}

/** Never throws. */
export function decodeCluster(bytes: Uint8Array): Result<Cluster> {
  return readMessage(ClusterCodec, bytes, fromCluster);
}

function fromCluster(message: WireCluster, reading: Reading): Cluster {
  reading.refuseUnknown(message, clusterType, "", decisiveFields);
  if (!message.name) reading.problem("name", "is empty");
  const weft = fromWeftMetadata(message.metadata);
  const source = sourceFromJson(weft.source);
  const service = serviceFromJson(weft.service);
  const subset = text(weft, "subset");
  const socket = message.transportSocket;
  const tcpFault = tcpFaultFromJson(weft.tcpFault, "metadata", reading);
  const tls = socket ? fromClientSocket(socket, "transportSocket", reading) : undefined;
  const mutualTls = fromSocketMatches(message.transportSocketMatches, reading);
  return {
    name: message.name ?? "",
    discovery: fromDiscovery(message, reading),
    loadBalancer: fromLoadBalancerFields(message, weft, reading),
    connectTimeoutMs: message.connectTimeout ? fromDuration(message.connectTimeout) : defaultConnectTimeoutMs,
    ...withSharing(
      withBudgetInterval(withErrorStatuses(fromClusterPolicy(message, reading), weft), weft),
      weft,
    ),
    ...(tls ? { tls } : {}),
    ...(mutualTls ? { mutualTls } : {}),
    ...fromBindConfig(message),
    ...(tcpFault ? { tcpFault } : {}),
    ...(weft.translatesGrpcWeb === true ? { translatesGrpcWeb: true } : {}),
    ...(source ? { source } : {}),
    ...(service ? { service } : {}),
    ...(subset === undefined ? {} : { subset }),
  };
}

/** Envoy takes the port 0 to be any. */
function toBindConfig(addresses: readonly string[] = []): Pick<WireCluster, "upstreamBindConfig"> {
  const [first, ...others] = addresses.map((address) => ({ address, portValue: 0 }));
  if (first === undefined) return {};
  const extraSourceAddresses = others.map((address) => ({ address }));
  return { upstreamBindConfig: { sourceAddress: first, extraSourceAddresses } };
}

function fromBindConfig({ upstreamBindConfig }: WireCluster): Pick<Cluster, "bindAddresses"> {
  const { sourceAddress, extraSourceAddresses } = upstreamBindConfig ?? {};
  const all = [sourceAddress, ...(extraSourceAddresses ?? []).map(({ address }) => address)];
  const bindAddresses = all.flatMap((socket) => (socket?.address ? [socket.address] : []));
  return bindAddresses.length === 0 ? {} : { bindAddresses };
}

function withErrorStatuses<P extends Pick<Cluster, "outlierDetection">>(policy: P, weft: Json): P {
  const { outlierDetection } = policy;
  const { outlierErrorStatuses: statuses } = weft as JsonObject;
  if (outlierDetection === undefined || !isList(statuses)) return policy;
  const errorStatuses = statuses.filter((status) => typeof status === "number");
  return { ...policy, outlierDetection: { ...outlierDetection, errorStatuses } };
}

/** Envoy's retry budget counts what is under way only. */
function withBudgetInterval<P extends Pick<Cluster, "retryBudget">>(policy: P, weft: Json): P {
  const intervalMs = number(weft, "retryBudgetMs");
  if (policy.retryBudget === undefined || intervalMs === undefined) return policy;
  return { ...policy, retryBudget: { ...policy.retryBudget, intervalMs } };
}

/** An Envoy has nothing to turn off there. */
function withSharing<P extends Pick<Cluster, "connectionPool">>(policy: P, weft: Json): P {
  if ((weft as JsonObject)["sharesConnections"] !== false) return policy;
  return { ...policy, connectionPool: { ...policy.connectionPool, sharesConnections: false } };
}

function toDiscovery(name: string, discovery: ClusterDiscovery): WireCluster {
  switch (discovery.kind) {
    case "eds":
      return { type: DiscoveryType.EDS, edsClusterConfig: { edsConfig: adsConfigSource() } };
    case "static":
      return { type: DiscoveryType.STATIC, loadAssignment: toAssignment(name, discovery.endpoints) };
    case "dns":
      return {
        type: discovery.isLogical ? DiscoveryType.LOGICAL_DNS : DiscoveryType.STRICT_DNS,
        loadAssignment: toAssignment(name, discovery.endpoints),
        dnsLookupFamily: DnsLookupFamily.V4_PREFERRED,
        respectDnsTtl: true,
      };
    case "original-dst":
      return { type: DiscoveryType.ORIGINAL_DST };
  }
}

function toAssignment(clusterName: string, endpoints: Parameters<typeof toLocalities>[0]) {
  return { clusterName, endpoints: toLocalities(endpoints) };
}

function fromDiscovery(message: WireCluster, reading: Reading): ClusterDiscovery {
  const endpoints = () => fromLocalities(message.loadAssignment?.endpoints, "loadAssignment", reading);
  switch (message.type ?? DiscoveryType.STATIC) {
    case DiscoveryType.STATIC:
      return { kind: "static", endpoints: endpoints() };
    case DiscoveryType.STRICT_DNS:
      return { kind: "dns", endpoints: endpoints() };
    case DiscoveryType.LOGICAL_DNS:
      return { kind: "dns", endpoints: endpoints(), isLogical: true };
    case DiscoveryType.ORIGINAL_DST:
      return { kind: "original-dst" };
    case DiscoveryType.EDS: {
      const { edsConfig, serviceName } = message.edsClusterConfig ?? {};
      if (!edsConfig?.ads) reading.problem("edsClusterConfig.edsConfig", "only ADS is supported");
      if (serviceName && serviceName !== message.name) {
        reading.problem("edsClusterConfig.serviceName", "must be the cluster's name", "leave it out");
      }
      return { kind: "eds" };
    }
  }
}

function serviceFromJson(json: Json): ServiceName | undefined {
  const hostname = text(json, "hostname");
  if (hostname === undefined) return undefined;
  return { hostname, name: text(json, "name") ?? "", namespace: text(json, "namespace") ?? "" };
}
