import { isIP } from "node:net";
import type { ProxyBindings, ProxyNode, SocketAddress } from "../model/node.ts";
import { fromLocality } from "./endpoint.ts";
import type messages from "./generated/messages.js";
import type { Json, JsonObject } from "./weft-metadata.ts";
import { fromStruct, isList, labelsFromJson, member, text, toStruct } from "./weft-metadata.ts";

type WireNode = messages.envoy.config.core.v3.Node;

/** Who is at the other end of an xDS stream. */
export interface ProxyPeer {
  readonly node: ProxyNode;
  /** By the node's user agent. Foreign proxies get what Envoy defines and nothing of Weft's own. */
  readonly client: ClientKind;
  /** As the client says; "" when it does not. */
  readonly clientVersion: string;
}

export type ClientKind = "weft" | "envoy" | "grpc" | "other";

/** Metadata keys that Istio's agents set too; Weft's own parts are under `WEFT`. */
const keys = {
  namespace: "NAMESPACE",
  labels: "LABELS",
  serviceAccount: "SERVICE_ACCOUNT",
  workload: "WORKLOAD_NAME",
  addresses: "INSTANCE_IPS",
  interception: "INTERCEPTION_MODE",
  weft: "WEFT",
};

export function toWireNode(node: ProxyNode, version: string): WireNode {
  const metadata: JsonObject = {
    [keys.namespace]: node.namespace,
    [keys.labels]: { ...node.labels },
    [keys.serviceAccount]: node.serviceAccount,
    [keys.workload]: node.name,
    [keys.addresses]: node.addresses?.join(","),
    [keys.interception]: node.bindings.captures && redirect,
    [keys.weft]: {
      bindings: bindingsToJson(node.bindings),
      onDemand: node.onDemand,
      identity: node.hasIdentity,
    },
  };
  return {
    id: node.id,
    cluster: `${node.name}.${node.namespace}`,
    metadata: toStruct(metadata),
    ...(node.locality && {
      locality: { region: node.locality.region, zone: node.locality.zone, subZone: node.locality.subzone },
    }),
    userAgentName: "weft",
    userAgentVersion: version,
  };
}

/** Any node is understood somehow: from Istio's metadata, else from an id in Istio's form, else the id is its name. */
export function fromWireNode(message: WireNode): ProxyPeer {
  const id = message.id ?? "";
  const fromId = readId(id);
  const metadata = fromStruct(message.metadata);
  const locality = fromLocality(message.locality);
  const node: ProxyNode = {
    id,
    kind: fromId.kind,
    name: text(metadata, keys.workload) ?? fromId.name,
    namespace: text(metadata, keys.namespace) ?? fromId.namespace,
    serviceAccount: text(metadata, keys.serviceAccount) ?? "default",
    labels: labelsFromJson(metadata[keys.labels]),
    ...(locality && { locality }),
    ...addressesIn(text(metadata, keys.addresses)),
    ...(member(metadata[keys.weft], "onDemand") === true && { onDemand: true }),
    ...(member(metadata[keys.weft], "identity") === true && { hasIdentity: true }),
    bindings: {
      ...bindingsFromJson(member(metadata[keys.weft], "bindings")),
      ...(text(metadata, keys.interception) === redirect ? { captures: true as const } : {}),
    },
  };
  return {
    node,
    client: clientKind(message.userAgentName ?? ""),
    clientVersion: message.userAgentVersion ?? "",
  };
}

/** Istio's word for connections that iptables sends to the proxy. */
const redirect = "REDIRECT";

function addressesIn(listed: string | undefined): Pick<ProxyNode, "addresses"> {
  const addresses = (listed ?? "").split(",").filter((address) => isIP(address) !== 0);
  return addresses.length === 0 ? {} : { addresses };
}

/** Istio's `TYPE~IP~NAME.NAMESPACE~DOMAIN`; TYPE is sidecar or router. */
function readId(id: string): Pick<ProxyNode, "kind" | "name" | "namespace"> {
  const [type, , workload, domain] = id.split("~");
  if (workload === undefined || domain === undefined)
    return { kind: "sidecar", name: id, namespace: "default" };
  const dot = workload.lastIndexOf(".");
  const name = dot < 0 ? workload : workload.slice(0, dot);
  const namespace = dot < 0 ? (domain.split(".")[0] ?? "default") : workload.slice(dot + 1);
  return { kind: type === "router" ? "gateway" : "sidecar", name, namespace };
}

function clientKind(userAgent: string): ClientKind {
  if (userAgent === "weft" || userAgent === "envoy") return userAgent;
  return /^grpc|^gRPC/.test(userAgent) ? "grpc" : "other";
}

function bindingsToJson(bindings: ProxyBindings): JsonObject {
  const { outbound, inbound, app, servers, dns } = bindings;
  return {
    outbound: outbound && { ...outbound },
    inbound: inbound && { ...inbound },
    app: app && { ...app },
    dns: dns?.map((address) => ({ ...address })),
    servers: Object.fromEntries(Array.from(servers, ([port, address]) => [String(port), { ...address }])),
  };
}

function bindingsFromJson(json: Json): ProxyBindings {
  const servers = new Map<number, SocketAddress>();
  const listed = member(json, "servers");
  if (typeof listed === "object" && !Array.isArray(listed)) {
    for (const [port, address] of Object.entries(listed)) {
      const socket = socketAddress(address);
      if (socket && isPort(Number(port))) servers.set(Number(port), socket);
    }
  }
  const outbound = socketAddress(member(json, "outbound"));
  const inbound = socketAddress(member(json, "inbound"));
  const app = socketAddress(member(json, "app"));
  const asked = member(json, "dns");
  const dns = (asked !== undefined && isList(asked) ? asked : []).flatMap(
    (address) => socketAddress(address) ?? [],
  );
  return {
    ...(outbound ? { outbound } : {}),
    ...(inbound ? { inbound } : {}),
    ...(app ? { app } : {}),
    ...(dns.length > 0 ? { dns } : {}),
    servers,
  };
}

function socketAddress(json: Json): SocketAddress | undefined {
  const host = text(json, "host");
  const port = member(json, "port");
  return host !== undefined && typeof port === "number" && isPort(port) ? { host, port } : undefined;
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 0 && port <= 65_535;
}
