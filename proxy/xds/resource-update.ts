import type { Problem } from "../../common/base/problem.ts";
import type { Cluster } from "../../common/model/cluster.ts";
import type { EndpointSet } from "../../common/model/endpoint.ts";
import type { Listener } from "../../common/model/listener.ts";
import type { RouteConfiguration, VirtualHost } from "../../common/model/route.ts";

/**
 * What one message from a control plane changes, decoded. Only resources that decoded well are in it; what did not was
 * refused on the stream already. `updated` is keyed by the xDS resource name: for a virtual host that is
 * `<route configuration>/<virtual host>`, for endpoints the cluster's name.
 */
export type ResourceUpdate =
  | UpdateOf<"cluster", Cluster>
  | UpdateOf<"endpoints", EndpointSet>
  | UpdateOf<"listener", Listener>
  | UpdateOf<"route-configuration", RouteConfiguration>
  | UpdateOf<"virtual-host", VirtualHost>;

export interface UpdateOf<K extends string, T> {
  readonly type: K;
  readonly updated: ReadonlyMap<string, ReceivedResource<T>>;
  /** Names that no longer exist, or never did. */
  readonly removed: readonly string[];
}

/** A resource with what is needed to write it to disk and to tell the control plane after a restart that we have it. */
export interface ReceivedResource<T> {
  readonly value: T;
  /** The control plane's version of this resource; opaque. */
  readonly version: string;
  /** The value of the resource's google.protobuf.Any, as it came; `decodeResource` in common/xds reads it again. */
  readonly bytes: Uint8Array;
}

export type ResourceType = ResourceUpdate["type"];

/** One resource that could not be put to use although it decoded; it is NACKed by name while the others apply. */
export interface Rejection {
  readonly name: string;
  readonly problems: readonly Problem[];
}

/**
 * Takes updates in the order in which they came; called once per message. A rejected resource keeps its last good version.
 * Listeners answer with a promise, because only binding the port tells whether it is free; it settles within seconds and never
 * rejects. The message is ACKed or NACKed after it; the next one is handed over after it too.
 */
export interface ResourceSink {
  apply(update: ResourceUpdate): readonly Rejection[] | Promise<readonly Rejection[]>;
}
