import type { Cluster } from "../../common/model/cluster.ts";
import type { EndpointSet } from "../../common/model/endpoint.ts";
import type { Listener } from "../../common/model/listener.ts";
import type { RouteConfiguration, VirtualHost } from "../../common/model/route.ts";
import type { Source } from "../../common/model/source.ts";
import { covers } from "../snapshot/hosts.ts";

/** Everything that one proxy may ask for, by name, each map in the order in which its names come from the mesh. */
export interface ProxyResources {
  readonly clusters: ReadonlyMap<string, Cluster>;
  /** By cluster; only for clusters whose discovery is `eds`. */
  readonly endpoints: ReadonlyMap<string, EndpointSet>;
  readonly listeners: ReadonlyMap<string, Listener>;
  /** With `vhds`: their virtual hosts are apart. */
  readonly routeConfigurations: ReadonlyMap<string, RouteConfiguration>;
  /** By VHDS name, `http_proxy/reviews.default.svc.cluster.local:9080`. */
  readonly virtualHosts: ReadonlyMap<string, VirtualHost>;
  /** Rules that other proxies have and this one has not. */
  readonly skipped: readonly SkippedRule[];
}

/** A rule that is left out for a proxy, for `weft explain`. */
export interface SkippedRule {
  /** The rule's name, "" when it has none. */
  readonly name: string;
  readonly source: Source;
  /** The virtual host where it would have stood; absent when its whole VirtualService is left out. */
  readonly virtualHost?: string;
  /** The hosts that its VirtualService is for, short forms included. */
  readonly hosts: readonly string[];
  /** Why, in words that follow "left out: ". */
  readonly why: string;
}

/**
 * The left out rules that an author may have meant for a request: those of its virtual host, and those for its host. A rule
 * for `*` is meant for no host in particular, such as every rule of a gateway.
 */
export function leftOutFor(
  skipped: readonly SkippedRule[],
  authority: string,
  virtualHost: string | undefined,
): readonly SkippedRule[] {
  const host = authority.replace(/:\d+$/, "").toLowerCase();
  return skipped.filter(
    (rule) =>
      (rule.virtualHost !== undefined && rule.virtualHost === virtualHost) ||
      (rule.virtualHost === undefined &&
        rule.hosts.some((pattern) => pattern !== "*" && covers(pattern, host))),
  );
}

/** A route configuration with its virtual hosts in it: what the matcher reads, and what plain RDS clients get. */
export function completeRouteConfiguration(
  resources: Pick<ProxyResources, "routeConfigurations" | "virtualHosts">,
  name: string,
): RouteConfiguration | undefined {
  const configuration = resources.routeConfigurations.get(name);
  if (!configuration?.vhds) return configuration;
  const virtualHosts = [...resources.virtualHosts]
    .filter(([key]) => key.startsWith(`${name}/`))
    .map(([, virtualHost]) => virtualHost);
  return { name, vhds: false, virtualHosts };
}
