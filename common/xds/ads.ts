import type { ProxyNode } from "../model/node.ts";
import messages from "./generated/messages.js";
import type { ProxyPeer } from "./node.ts";
import { fromWireNode, toWireNode } from "./node.ts";

const wire = messages.envoy.service.discovery.v3;

/** Envoy's DiscoveryRequest (state of the world). */
export interface DiscoveryRequest {
  readonly typeUrl: string;
  /** Required in a stream's first request only. */
  readonly peer?: ProxyPeer;
  /** Empty on LDS and CDS: everything. */
  readonly resourceNames: readonly string[];
  /** The last accepted version; "" in the first request of a type. */
  readonly versionInfo: string;
  readonly responseNonce: string;
  /** Present: the response with that nonce was refused, and why. */
  readonly error?: string;
}

/** Envoy's DiscoveryResponse. */
export interface DiscoveryResponse {
  readonly typeUrl: string;
  readonly versionInfo: string;
  readonly nonce: string;
  /** Values of google.protobuf.Any; their type is `typeUrl`. */
  readonly resources: readonly Uint8Array[];
}

/** Envoy's DeltaDiscoveryRequest. */
export interface DeltaRequest {
  readonly typeUrl: string;
  readonly peer?: ProxyPeer;
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  /** In the first request of a type on a stream: what the client already has, by name. */
  readonly initialVersions: ReadonlyMap<string, string>;
  readonly responseNonce: string;
  readonly error?: string;
}

/** Envoy's DeltaDiscoveryResponse. */
export interface DeltaResponse {
  readonly typeUrl: string;
  /** For people; the versions that count are those of the resources. */
  readonly systemVersion: string;
  readonly nonce: string;
  readonly resources: readonly DeltaResource[];
  readonly removed: readonly string[];
  /** What the control plane calls itself; ours is `weftControlPlane`. */
  readonly controlPlane?: string;
}

/** By this name a proxy knows a control plane that understands what is Weft's own, such as `ProxyNode.onDemand`. */
export const weftControlPlane = "weft";

export interface DeltaResource {
  readonly name: string;
  /** The names by which the client asked for it, when they are others (VHDS). */
  readonly aliases?: readonly string[];
  readonly version: string;
  /** The Any's value; its type is the response's `typeUrl`. */
  readonly bytes: Uint8Array;
}

/**
 * The two streams of Envoy's AggregatedDiscoveryService in the shape that @grpc/grpc-js takes as a ServiceDefinition.
 * Deserializers throw on bytes that are not the message, which gRPC reports as INTERNAL. Requests to be sent name
 * their node as `OutgoingRequest`, because the other end reads it as a `ProxyPeer`.
 */
export const aggregatedDiscoveryService = {
  StreamAggregatedResources: {
    path: "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources",
    requestStream: true,
    responseStream: true,
    requestSerialize: (request: OutgoingRequest<DiscoveryRequest>) => toBuffer(encodeRequest(request)),
    requestDeserialize: decodeRequest,
    responseSerialize: (response: DiscoveryResponse) => toBuffer(encodeResponse(response)),
    responseDeserialize: decodeResponse,
  },
  DeltaAggregatedResources: {
    path: "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
    requestStream: true,
    responseStream: true,
    requestSerialize: (request: OutgoingRequest<DeltaRequest>) => toBuffer(encodeDeltaRequest(request)),
    requestDeserialize: decodeDeltaRequest,
    responseSerialize: (response: DeltaResponse) => toBuffer(encodeDeltaResponse(response)),
    responseDeserialize: decodeDeltaResponse,
  },
} as const;

/** A request before it is sent; `node` goes into a stream's first request. */
export type OutgoingRequest<R> = Omit<R, "peer"> & {
  readonly node?: { readonly proxy: ProxyNode; readonly version: string };
};

function encodeRequest(request: OutgoingRequest<DiscoveryRequest>): Uint8Array {
  return wire.DiscoveryRequest.encode({
    typeUrl: request.typeUrl,
    node: request.node && toWireNode(request.node.proxy, request.node.version),
    resourceNames: [...request.resourceNames],
    versionInfo: request.versionInfo,
    responseNonce: request.responseNonce,
    errorDetail: errorDetail(request.error),
  }).finish();
}

function decodeRequest(bytes: Uint8Array): DiscoveryRequest {
  const message = wire.DiscoveryRequest.decode(bytes);
  return {
    typeUrl: message.typeUrl ?? "",
    ...(message.node ? { peer: fromWireNode(message.node) } : {}),
    resourceNames: message.resourceNames ?? [],
    versionInfo: message.versionInfo ?? "",
    responseNonce: message.responseNonce ?? "",
    ...(message.errorDetail ? { error: message.errorDetail.message ?? "" } : {}),
  };
}

function encodeResponse(response: DiscoveryResponse): Uint8Array {
  const { typeUrl, versionInfo, nonce } = response;
  return wire.DiscoveryResponse.encode({
    typeUrl,
    versionInfo,
    nonce,
    resources: response.resources.map((value) => ({ type_url: typeUrl, value })),
  }).finish();
}

function decodeResponse(bytes: Uint8Array): DiscoveryResponse {
  const message = wire.DiscoveryResponse.decode(bytes);
  return {
    typeUrl: message.typeUrl ?? "",
    versionInfo: message.versionInfo ?? "",
    nonce: message.nonce ?? "",
    resources: (message.resources ?? []).map((any) => any.value ?? new Uint8Array()),
  };
}

function encodeDeltaRequest(request: OutgoingRequest<DeltaRequest>): Uint8Array {
  return wire.DeltaDiscoveryRequest.encode({
    typeUrl: request.typeUrl,
    node: request.node && toWireNode(request.node.proxy, request.node.version),
    resourceNamesSubscribe: [...request.subscribe],
    resourceNamesUnsubscribe: [...request.unsubscribe],
    initialResourceVersions: Object.fromEntries(request.initialVersions),
    responseNonce: request.responseNonce,
    errorDetail: errorDetail(request.error),
  }).finish();
}

function decodeDeltaRequest(bytes: Uint8Array): DeltaRequest {
  const message = wire.DeltaDiscoveryRequest.decode(bytes);
  return {
    typeUrl: message.typeUrl ?? "",
    ...(message.node ? { peer: fromWireNode(message.node) } : {}),
    subscribe: message.resourceNamesSubscribe ?? [],
    unsubscribe: message.resourceNamesUnsubscribe ?? [],
    initialVersions: new Map(Object.entries(message.initialResourceVersions ?? {})),
    responseNonce: message.responseNonce ?? "",
    ...(message.errorDetail ? { error: message.errorDetail.message ?? "" } : {}),
  };
}

function encodeDeltaResponse(response: DeltaResponse): Uint8Array {
  const { typeUrl, nonce } = response;
  const frame = wire.DeltaDiscoveryResponse.encode({
    typeUrl,
    systemVersionInfo: response.systemVersion,
    nonce,
    removedResources: [...response.removed],
    ...(response.controlPlane !== undefined && { controlPlane: { identifier: response.controlPlane } }),
  }).finish();
  // The fields of a message may come in any order, so what was encoded for one stream is copied for the others.
  return Buffer.concat([...response.resources.map((resource) => resourceField(resource, typeUrl)), frame]);
}

/** Each resource as a field of a DeltaDiscoveryResponse; thousands of streams are sent the same objects. */
const resourceFields = new WeakMap<DeltaResource, { readonly typeUrl: string; readonly field: Uint8Array }>();

function resourceField(resource: DeltaResource, typeUrl: string): Uint8Array {
  const known = resourceFields.get(resource);
  if (known?.typeUrl === typeUrl) return known.field;
  const { name, aliases, version, bytes } = resource;
  const field = wire.DeltaDiscoveryResponse.encode({
    resources: [
      {
        name,
        ...(aliases && { aliases: [...aliases] }),
        version,
        resource: { type_url: typeUrl, value: bytes },
      },
    ],
  }).finish();
  resourceFields.set(resource, { typeUrl, field });
  return field;
}

function decodeDeltaResponse(bytes: Uint8Array): DeltaResponse {
  const message = wire.DeltaDiscoveryResponse.decode(bytes);
  return {
    typeUrl: message.typeUrl ?? "",
    systemVersion: message.systemVersionInfo ?? "",
    nonce: message.nonce ?? "",
    resources: (message.resources ?? []).map((resource) => ({
      name: resource.name ?? "",
      ...(resource.aliases?.length ? { aliases: resource.aliases } : {}),
      version: resource.version ?? "",
      bytes: resource.resource?.value ?? new Uint8Array(),
    })),
    removed: message.removedResources ?? [],
    ...(message.controlPlane?.identifier ? { controlPlane: message.controlPlane.identifier } : {}),
  };
}

/** google.rpc.Code INVALID_ARGUMENT, which Envoy sends with a NACK too. */
function errorDetail(message: string | undefined): { code: number; message: string } | undefined {
  return message === undefined ? undefined : { code: 3, message };
}

/** grpc-js wants Buffers; the bytes are shared, not copied. */
function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
