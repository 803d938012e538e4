import type { ClientTls } from "../model/tls.ts";
import messages from "./generated/messages.js";
import { fromClientSocket, toClientSocket } from "./tls.ts";
import { fromStruct, text, toStruct } from "./weft-metadata.ts";
import type { Reading } from "./wire.ts";
import { anyType, packAny } from "./wire.ts";

type Metadata = messages.envoy.config.core.v3.Metadata;
type SocketMatch = messages.envoy.config.cluster.v3.Cluster.TransportSocketMatch;

const { RawBuffer } = messages.envoy.extensions.transport_sockets.raw_buffer.v3;
const rawType = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer";
const rawName = "envoy.transport_sockets.raw_buffer";

/** Where Envoy looks for what an endpoint is like when it chooses among a cluster's transport sockets. */
const metadataKey = "envoy.transport_socket_match";
const trait = "tlsMode";
const meshMode = "istio";

/** An endpoint's metadata that asks for the mesh's TLS; undefined when there is nothing to say. */
export function toTlsModeMetadata(tlsMode: "istio" | undefined): Metadata["filterMetadata"] {
  return tlsMode === undefined ? undefined : { [metadataKey]: toStruct({ [trait]: tlsMode }) };
}

export function fromTlsModeMetadata(metadata: Metadata | null | undefined): "istio" | undefined {
  const all = metadata?.filterMetadata;
  if (!all || !Object.hasOwn(all, metadataKey)) return undefined;
  return text(fromStruct(all[metadataKey]), trait) === meshMode ? meshMode : undefined;
}

/** Istio's two: the mesh's TLS for endpoints that can, plain text for the others. */
export function toSocketMatches(mutualTls: ClientTls): SocketMatch[] {
  return [
    {
      name: "tlsMode-istio",
      match: toStruct({ [trait]: meshMode }),
      transportSocket: toClientSocket(mutualTls),
    },
    {
      name: "tlsMode-disabled",
      match: toStruct({}),
      transportSocket: { name: rawName, typedConfig: packAny(rawType, RawBuffer, {}) },
    },
  ];
}

/** Undefined when there are none, or after a problem was reported: only Istio's two are understood. */
export function fromSocketMatches(
  matches: readonly SocketMatch[] | null | undefined,
  reading: Reading,
): ClientTls | undefined {
  const [first, second, ...others] = matches ?? [];
  if (first === undefined) return undefined;
  const path = "transportSocketMatches";
  const isIstios =
    text(fromStruct(first.match), trait) === meshMode &&
    Object.keys(fromStruct(second?.match)).length === 0 &&
    (second === undefined || anyType(second.transportSocket?.typedConfig) === rawType) &&
    others.length === 0;
  if (!isIstios || !first.transportSocket) {
    reading.problem(path, 'is supported as one with tlsMode "istio" and one without TLS for the rest');
    return undefined;
  }
  return fromClientSocket(first.transportSocket, `${path}[0].transportSocket`, reading);
}
