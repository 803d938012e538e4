import type { Cluster } from "../../common/model/cluster.ts";
import type { Listener } from "../../common/model/listener.ts";
import type { ProxyNode } from "../../common/model/node.ts";
import type { RouteConfiguration, VirtualHost } from "../../common/model/route.ts";
import { virtualHostResourceName } from "../../common/xds/type-url.ts";
import { keepElements } from "../snapshot/reuse.ts";
import { sidecarFor } from "../snapshot/sidecars.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import { translateGateway } from "./gateway.ts";
import { translateInbound } from "./inbound.ts";
import { meshView } from "./mesh-view.ts";
import { httpProxy, outboundListener, outboundRoutes } from "./outbound.ts";
import type { ProxyResources } from "./proxy-resources.ts";

/**
 * What a proxy runs, from the mesh as it is. The result depends on nothing but the arguments; whatever stays equal from
 * one snapshot to the next, or from one proxy to another, is the same object.
 */
export function translate(snapshot: Snapshot, node: ProxyNode): ProxyResources {
  return node.kind === "gateway" ? gatewayResources(snapshot, node) : sidecarResources(snapshot, node);
}

function sidecarResources(snapshot: Snapshot, node: ProxyNode): ProxyResources {
  const view = meshView(snapshot, node, sidecarFor(snapshot, node));
  const outbound = outboundListener(node);
  const inbound = translateInbound(snapshot, node);
  const routes = outboundRoutes(snapshot, node);
  return {
    clusters: inbound ? withInbound(node, inbound.cluster, view.clusters) : view.clusters,
    endpoints: view.endpoints,
    listeners: byName(
      keepListeners(
        node,
        [outbound, inbound?.listener].filter((item) => item !== undefined),
      ),
    ),
    routeConfigurations: byName(outbound ? [routeConfiguration(httpProxy)] : []),
    virtualHosts: outbound ? routes.virtualHosts : new Map(),
    get skipped() {
      return routes.skipped();
    },
  };
}

function gatewayResources(snapshot: Snapshot, node: ProxyNode): ProxyResources {
  const view = meshView(snapshot, node);
  const gateway = translateGateway(snapshot, node);
  const names = [...gateway.clusters].sort();
  return {
    clusters: pick(view.clusters, names),
    endpoints: pick(view.endpoints, names),
    listeners: byName(keepListeners(node, gateway.listeners)),
    routeConfigurations: byName([...gateway.virtualHosts.keys()].map(routeConfiguration)),
    virtualHosts: new Map([...gateway.virtualHosts].flatMap(([name, hosts]) => [...prefixed(name, hosts)])),
    skipped: gateway.skipped,
  };
}

interface Joined {
  readonly inbound: Cluster;
  readonly shared: ReadonlyMap<string, Cluster>;
  readonly all: ReadonlyMap<string, Cluster>;
}

const joined = new WeakMap<ProxyNode, Joined>();

function withInbound(
  node: ProxyNode,
  inbound: Cluster,
  shared: ReadonlyMap<string, Cluster>,
): ReadonlyMap<string, Cluster> {
  const known = joined.get(node);
  if (known?.inbound === inbound && known.shared === shared) return known.all;
  const all = new Map([[inbound.name, inbound], ...shared]);
  joined.set(node, { inbound, shared, all });
  return all;
}

/** A node's listeners, kept so that an equal one is the same. */
const listeners = new WeakMap<ProxyNode, readonly Listener[]>();

function keepListeners(node: ProxyNode, next: readonly Listener[]): readonly Listener[] {
  const kept = keepElements(listeners.get(node), next, ({ name }) => name);
  listeners.set(node, kept);
  return kept;
}

const configurations = new Map<string, RouteConfiguration>();

/** Says only its name; the virtual hosts come by VHDS. At most one per port and one for sidecars, so all are kept. */
function routeConfiguration(name: string): RouteConfiguration {
  const known = configurations.get(name) ?? Object.freeze({ name, vhds: true, virtualHosts: [] });
  configurations.set(name, known);
  return known;
}

function prefixed(
  configuration: string,
  hosts: ReadonlyMap<string, VirtualHost>,
): ReadonlyMap<string, VirtualHost> {
  return new Map([...hosts].map(([name, host]) => [virtualHostResourceName(configuration, name), host]));
}

function byName<T extends { readonly name: string }>(items: readonly T[]): ReadonlyMap<string, T> {
  return new Map(items.map((item) => [item.name, item]));
}

function pick<T>(from: ReadonlyMap<string, T>, names: readonly string[]): ReadonlyMap<string, T> {
  return new Map(names.flatMap((name) => (from.has(name) ? [[name, from.get(name)!] as const] : [])));
}
