import type { Cluster } from "../../common/model/cluster.ts";
import type { Listener } from "../../common/model/listener.ts";
import type { ProxyNode } from "../../common/model/node.ts";
import type { RouteConfiguration, VirtualHost } from "../../common/model/route.ts";
import { virtualHostResourceName } from "../../common/xds/type-url.ts";
import { keepElements } from "../snapshot/reuse.ts";
import { sidecarFor } from "../snapshot/sidecars.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import { accessFor } from "./access.ts";
import { capturedInbound } from "./captured-inbound.ts";
import { dnsListeners } from "./dns-listeners.ts";
import { egressListeners } from "./egress-listeners.ts";
import { withEntry } from "./entry.ts";
import { translateGateway } from "./gateway.ts";
import type { Inbound } from "./inbound.ts";
import { ingressListeners, translateInbound } from "./inbound.ts";
import { secured, securedByPort, withoutIdentity } from "./mesh-tls.ts";
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
  const outbound = outboundListener(snapshot, node);
  const captured = capturedInbound(snapshot, node);
  const inbound = translateInbound(snapshot, node);
  const routes = outboundRoutes(snapshot, node);
  const egress = egressListeners(snapshot, node);
  const ingress = ingressListeners(snapshot, node);
  const clusters = withMore(view.clusters, egress.clusters);
  const own = [...(inbound ? [inbound] : []), ...ingress];
  return {
    clusters: withOwn(
      node,
      [...own.map(({ cluster }) => cluster), ...(captured?.clusters ?? [])],
      node.hasIdentity ? clusters : withoutIdentity(clusters),
    ),
    endpoints: withMore(view.endpoints, egress.endpoints),
    listeners: byName(
      keepListeners(node, [
        ...[...(outbound ? [outbound] : []), ...egress.listeners].map((listener) =>
          withEntry(snapshot, node, listener),
        ),
        ...own.map((inbound) =>
          secured(
            snapshot,
            node,
            withEntry(snapshot, node, inbound.listener),
            portsOf(snapshot, node, inbound),
          ),
        ),
        ...(captured ? [securedByPort(snapshot, node, withEntry(snapshot, node, captured.listener))] : []),
        ...dnsListeners(snapshot, node, view),
      ]),
    ),
    routeConfigurations: byName(
      [...(outbound ? [httpProxy] : []), ...egress.virtualHosts.keys()].map(routeConfiguration),
    ),
    virtualHosts: withMore(
      outbound ? routes.virtualHosts : new Map(),
      new Map([...egress.virtualHosts.values()].flatMap((hosts) => [...hosts])),
    ),
    get skipped() {
      return routes.skipped();
    },
  };
}

function gatewayResources(snapshot: Snapshot, node: ProxyNode): ProxyResources {
  const view = meshView(snapshot, node);
  const gateway = translateGateway(snapshot, node);
  const asked = accessFor(snapshot, node)?.external ?? [];
  const names = [...new Set([...gateway.clusters, ...asked.map(({ service }) => service.cluster)])].sort();
  return {
    clusters: pick(node.hasIdentity ? view.clusters : withoutIdentity(view.clusters), names),
    endpoints: pick(view.endpoints, names),
    listeners: byName(
      keepListeners(
        node,
        gateway.listeners.map((listener) => withEntry(snapshot, node, listener)),
      ),
    ),
    routeConfigurations: byName([...gateway.virtualHosts.keys()].map(routeConfiguration)),
    virtualHosts: new Map([...gateway.virtualHosts].flatMap(([name, hosts]) => [...prefixed(name, hosts)])),
    skipped: gateway.skipped,
  };
}

/** The ports by which a policy may mean an inbound listener: the app's, its own, and in explicit mode those of the service behind it. */
function portsOf({ services }: Snapshot, { namespace }: ProxyNode, { listener, cluster }: Inbound): number[] {
  const app = cluster.discovery.kind === "static" ? (cluster.discovery.endpoints[0]?.port ?? 0) : 0;
  const service = cluster.service && services.byKey.get(`${namespace}/${cluster.service.hostname}`);
  return [app, listener.port, ...(service?.ports.map(({ number }) => number) ?? [])];
}

interface Joined {
  readonly own: readonly Cluster[];
  readonly shared: ReadonlyMap<string, Cluster>;
  readonly all: ReadonlyMap<string, Cluster>;
}

const joined = new WeakMap<ProxyNode, Joined>();

/** What only this proxy has before what it shares with others; the same map while neither changes. */
function withOwn(
  node: ProxyNode,
  own: readonly Cluster[],
  shared: ReadonlyMap<string, Cluster>,
): ReadonlyMap<string, Cluster> {
  if (own.length === 0) return shared;
  const known = joined.get(node);
  const isSame = known?.own.length === own.length && own.every((cluster, at) => known.own[at] === cluster);
  if (isSame && known.shared === shared) return known.all;
  const all = new Map([...own.map((cluster) => [cluster.name, cluster] as const), ...shared]);
  joined.set(node, { own, shared, all });
  return all;
}

/** Both, the first before the second; without a second the first itself, so that caches by its identity keep. */
function withMore<T>(first: ReadonlyMap<string, T>, second: ReadonlyMap<string, T>): ReadonlyMap<string, T> {
  return second.size === 0 ? first : new Map([...second, ...first]);
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
