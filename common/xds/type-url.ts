/** The resource types that travel over xDS, by the last word of Envoy's discovery service for them. */
export const typeUrl = {
  cluster: "type.googleapis.com/envoy.config.cluster.v3.Cluster",
  endpoints: "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
  listener: "type.googleapis.com/envoy.config.listener.v3.Listener",
  "route-configuration": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
  "virtual-host": "type.googleapis.com/envoy.config.route.v3.VirtualHost",
} as const;

export type ResourceKind = keyof typeof typeUrl;
export type TypeUrl = (typeof typeUrl)[ResourceKind];

/** In make-before-break order: whatever names something comes after what it names. */
export const resourceKinds: readonly ResourceKind[] = [
  "cluster",
  "endpoints",
  "listener",
  "route-configuration",
  "virtual-host",
];

const kindByUrl: ReadonlyMap<string, ResourceKind> = new Map(
  resourceKinds.map((kind) => [typeUrl[kind], kind]),
);

/** The kind behind a type URL; undefined for types that Weft does not speak. */
export function resourceKind(url: string): ResourceKind | undefined {
  return kindByUrl.get(url);
}

/** The VHDS resource name of a virtual host. */
export function virtualHostResourceName(routeConfiguration: string, virtualHost: string): string {
  return `${routeConfiguration}/${virtualHost}`;
}

/**
 * Splits a VHDS resource name at its first slash. A name without one stands for every virtual host of that route
 * configuration, and `virtualHost` is undefined.
 */
export function splitVirtualHostResourceName(name: string): {
  readonly routeConfiguration: string;
  readonly virtualHost: string | undefined;
} {
  const slash = name.indexOf("/");
  if (slash < 0) return { routeConfiguration: name, virtualHost: undefined };
  return { routeConfiguration: name.slice(0, slash), virtualHost: name.slice(slash + 1) };
}
