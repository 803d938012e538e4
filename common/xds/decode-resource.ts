import type { Result } from "../base/result.ts";
import type { Cluster } from "../model/cluster.ts";
import type { EndpointSet } from "../model/endpoint.ts";
import type { Listener } from "../model/listener.ts";
import type { RouteConfiguration, VirtualHost } from "../model/route.ts";
import { decodeCluster } from "./cluster.ts";
import { decodeEndpoints } from "./endpoint.ts";
import { decodeListener } from "./listener.ts";
import { decodeRouteConfiguration, decodeVirtualHost } from "./route.ts";
import type { ResourceKind } from "./type-url.ts";

/** The model type behind each kind of resource. */
export interface ModelByKind {
  readonly cluster: Cluster;
  readonly endpoints: EndpointSet;
  readonly listener: Listener;
  readonly "route-configuration": RouteConfiguration;
  readonly "virtual-host": VirtualHost;
}

const decoders: { readonly [K in ResourceKind]: (bytes: Uint8Array) => Result<ModelByKind[K]> } = {
  cluster: decodeCluster,
  endpoints: decodeEndpoints,
  listener: decodeListener,
  "route-configuration": decodeRouteConfiguration,
  "virtual-host": decodeVirtualHost,
};

/** Reads the value of a resource's Any, as it came from the wire or from the last-good copy on disk. Never throws. */
export function decodeResource<K extends ResourceKind>(kind: K, bytes: Uint8Array): Result<ModelByKind[K]> {
  return decoders[kind](bytes);
}
