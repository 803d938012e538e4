import type { ChannelCredentials } from "@grpc/grpc-js";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import type { SocketAddress } from "../../common/model/node.ts";
import type { DeltaRequest, DeltaResponse, OutgoingRequest } from "../../common/xds/ads.ts";
import { aggregatedDiscoveryService } from "../../common/xds/ads.ts";
import type { LeaseReply } from "../../common/xds/lease-service.ts";
import { leaseService } from "../../common/xds/lease-service.ts";
import type { LeaseCall, LeaseCallHandlers } from "./lease-client.ts";

/** One delta ADS stream. */
export interface AdsCall {
  send(request: OutgoingRequest<DeltaRequest>): void;
  /** Ends it; no handler is called afterwards. */
  close(): void;
  /** Opens a stream of leases on the same connection. */
  openLeases?(handlers: LeaseCallHandlers): LeaseCall;
}

export interface AdsCallHandlers {
  onResponse(response: DeltaResponse): void;
  /** The stream is over, for whatever reason. Called at most once. */
  onEnd(reason: string): void;
}

export type OpenAdsCall = (address: SocketAddress, handlers: AdsCallHandlers) => AdsCall;

/** What one connection is opened with. */
export interface AdsChannel {
  readonly credentials: ChannelCredentials;
  readonly metadata: Metadata;
  /** Of the gRPC channel, besides our own. */
  readonly options?: Readonly<Record<string, string>>;
}

/** Over @grpc/grpc-js, without TLS. */
export const openGrpcCall: OpenAdsCall = openGrpcCallWith(() => ({
  credentials: credentials.createInsecure(),
  metadata: new Metadata(),
}));

/**
 * Over @grpc/grpc-js; `openChannel` is asked at each connection, and what it throws ends that one. A control plane that goes silent is noticed within 30 s by keepalive pings;
 * more frequent ones are taken for abuse by other control planes.
 */
export function openGrpcCallWith(openChannel: () => AdsChannel): OpenAdsCall {
  return (address, handlers) => {
    try {
      return callOver(openChannel(), address, handlers);
    } catch (cause) {
      // Not at once: the caller does not hold the call yet.
      queueMicrotask(() => handlers.onEnd((cause as Error).message));
      return { send: () => {}, close: () => {} };
    }
  };
}

function callOver(channel: AdsChannel, { host, port }: SocketAddress, handlers: AdsCallHandlers): AdsCall {
  const target = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  const client = new Client(target, channel.credentials, {
    ...channel.options,
    "grpc.max_receive_message_length": 256 * 1024 * 1024,
    "grpc.keepalive_time_ms": 20_000,
    "grpc.keepalive_timeout_ms": 10_000,
    // Each attempt is a connection of its own; when to try again is decided by the caller and not by the channel.
    "grpc.use_local_subchannel_pool": 1,
    "grpc.enable_http_proxy": 0,
    "grpc.enable_retries": 0,
  });
  const { path, requestSerialize, responseDeserialize } = aggregatedDiscoveryService.DeltaAggregatedResources;
  const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, channel.metadata);
  let isOver = false;
  const end = (reason: string) => {
    if (isOver) return;
    isOver = true;
    client.close();
    handlers.onEnd(reason);
  };
  stream.on("data", (response: DeltaResponse) => {
    if (!isOver) handlers.onResponse(response);
  });
  stream.on("error", (error: Error) => end(error.message));
  stream.on("end", () => end("the control plane ended the stream"));
  return {
    send(request) {
      if (!isOver) stream.write(request);
    },
    close() {
      if (isOver) return;
      isOver = true;
      stream.cancel();
      client.close();
    },
    openLeases: (leaseHandlers) => leasesOver(client, channel.metadata, leaseHandlers),
  };
}

function leasesOver(client: Client, metadata: Metadata, handlers: LeaseCallHandlers): LeaseCall {
  const { path, requestSerialize, responseDeserialize } = leaseService.Lease;
  const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata);
  let isOver = false;
  const end = (): void => {
    if (isOver) return;
    isOver = true;
    handlers.onEnd();
  };
  stream.on("data", (reply: LeaseReply) => {
    if (!isOver) handlers.onReply(reply);
  });
  stream.on("error", end);
  stream.on("end", end);
  return {
    send(report) {
      if (!isOver) stream.write(report);
    },
    close() {
      if (isOver) return;
      isOver = true;
      stream.cancel();
    },
  };
}
