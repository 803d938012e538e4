import { Client, credentials } from "@grpc/grpc-js";
import type { SocketAddress } from "../../common/model/node.ts";
import type { DeltaRequest, DeltaResponse, OutgoingRequest } from "../../common/xds/ads.ts";
import { aggregatedDiscoveryService } from "../../common/xds/ads.ts";

/** One delta ADS stream. */
export interface AdsCall {
  send(request: OutgoingRequest<DeltaRequest>): void;
  /** Ends it; no handler is called afterwards. */
  close(): void;
}

export interface AdsCallHandlers {
  onResponse(response: DeltaResponse): void;
  /** The stream is over, for whatever reason. Called at most once. */
  onEnd(reason: string): void;
}

export type OpenAdsCall = (address: SocketAddress, handlers: AdsCallHandlers) => AdsCall;

/**
 * Over @grpc/grpc-js, without TLS. A control plane that goes silent is noticed within 30 s by keepalive pings;
 * more frequent ones are taken for abuse by other control planes.
 */
export const openGrpcCall: OpenAdsCall = ({ host, port }, handlers) => {
  const target = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
  const client = new Client(target, credentials.createInsecure(), {
    "grpc.max_receive_message_length": 256 * 1024 * 1024,
    "grpc.keepalive_time_ms": 20_000,
    "grpc.keepalive_timeout_ms": 10_000,
    // Each attempt is a connection of its own; when to try again is decided by the caller and not by the channel.
    "grpc.use_local_subchannel_pool": 1,
    "grpc.enable_http_proxy": 0,
    "grpc.enable_retries": 0,
  });
  const { path, requestSerialize, responseDeserialize } = aggregatedDiscoveryService.DeltaAggregatedResources;
  const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
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
  };
};
