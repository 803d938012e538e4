import type { Listener } from "../../common/model/listener.ts";
import type { ProxyNode } from "../../common/model/node.ts";
import type { Route, VirtualHost } from "../../common/model/route.ts";
import { noHeaderOperations } from "../../common/model/route.ts";
import { isVisible } from "../snapshot/hosts.ts";
import { keepMap } from "../snapshot/reuse.ts";
import type { MeshVirtualService, Snapshot } from "../snapshot/snapshot.ts";
import { virtualServicesFor } from "../snapshot/virtual-services.ts";
import { passthroughCluster } from "./clusters.ts";
import { barePort, DomainClaims, domainsOf, shortForms, virtualAddresses } from "./domains.ts";
import type { MeshView } from "./mesh-view.ts";
import { meshView } from "./mesh-view.ts";
import type { SkippedRule } from "./proxy-resources.ts";
import { forwardTo, isHttp } from "./routes.ts";
import type { HostPlan } from "./virtual-hosts.ts";
import { labelsIn, translateHost } from "./virtual-hosts.ts";

/** The route configuration behind a sidecar's explicit proxy port, in Istio's word. */
export const httpProxy = "http_proxy";

export interface OutboundRoutes {
  /** By name within the route configuration. */
  readonly virtualHosts: ReadonlyMap<string, VirtualHost>;
  readonly skipped: readonly SkippedRule[];
}

const routes = new WeakMap<Snapshot, Map<string, OutboundRoutes>>();

/** What a sidecar knows of the mesh's hosts; once per snapshot, namespace and the labels that any rule asks for. */
export function outboundRoutes(snapshot: Snapshot, node: ProxyNode): OutboundRoutes {
  const known = routes.get(snapshot) ?? new Map<string, OutboundRoutes>();
  routes.set(snapshot, known);
  const key = `${node.namespace} ${labelsIn(node, snapshot.virtualServices.sourceLabelKeys)}`;
  let found = known.get(key);
  if (found === undefined) {
    found = makeRoutes(snapshot, node, meshView(snapshot, node.namespace));
    known.set(key, found);
  }
  return found;
}

export function outboundListener({ bindings }: ProxyNode): Listener | undefined {
  if (bindings.outbound === undefined) return undefined;
  return {
    name: "virtualOutbound",
    address: bindings.outbound.host,
    port: bindings.outbound.port,
    direction: "outbound",
    filterChains: [
      {
        name: httpProxy,
        http: { statPrefix: httpProxy, routes: { kind: "rds", routeConfigName: httpProxy } },
      },
    ],
  };
}

function makeRoutes(snapshot: Snapshot, node: ProxyNode, view: MeshView): OutboundRoutes {
  const visible = (virtual: MeshVirtualService) =>
    isVisible(virtual.exportTo, virtual.key.namespace, node.namespace);
  const inMesh = (virtual: MeshVirtualService) => virtual.gateways.includes("mesh") && visible(virtual);
  const plans = [...servicePlans(snapshot, node, view, inMesh), ...ownPlans(snapshot, node, view, inMesh)];

  // First everyone's own name, then the short forms: so `reviews` goes to whoever is called just that, if anyone is.
  const claims = new DomainClaims();
  for (const { plan, own } of plans) claims.claim(plan.name, own);
  for (const { plan } of plans) claims.claim(plan.name, plan.domains);

  const virtualHosts = new Map<string, VirtualHost>();
  const skipped: SkippedRule[] = [];
  for (const { plan } of plans) {
    const domains = claims.keep(plan.name, plan.domains);
    if (domains.length === 0) continue;
    const translated = translateHost({ ...plan, domains }, (hostname) => view.services.get(hostname));
    if (translated === undefined) continue;
    skipped.push(...translated.skipped);
    if (translated.virtualHost.routes.length > 0) virtualHosts.set(plan.name, translated.virtualHost);
  }
  if (!virtualHosts.has("*")) virtualHosts.set(allowAny.name, allowAny);
  const key = `hosts ${node.namespace} ${labelsIn(node, snapshot.virtualServices.sourceLabelKeys)}`;
  const kept = keepMap(snapshot.lineage, key, virtualHosts);
  return { virtualHosts: kept, skipped: [...skipped, ...notForSidecars(snapshot, node, visible)] };
}

interface Planned {
  readonly plan: HostPlan;
  /** The domains that nobody else may take. */
  readonly own: readonly string[];
}

type Admits = (virtual: MeshVirtualService) => boolean;

function servicePlans(snapshot: Snapshot, node: ProxyNode, view: MeshView, admits: Admits): Planned[] {
  return [...view.services.values()].flatMap((service) => {
    const { hostname } = service;
    const virtuals = virtualServicesFor(snapshot.virtualServices, hostname, admits);
    const bare = barePort(service);
    const hosts = [hostname, ...shortForms(hostname, node.namespace), ...virtualAddresses(service)];
    return service.ports.filter(isHttp).map(({ number }) => ({
      own: domainsOf([hostname], number, number === bare),
      plan: {
        name: `${hostname}:${number}`,
        domains: domainsOf(hosts, number, number === bare),
        service,
        virtuals,
        place: { node, gateway: "mesh", port: number },
      },
    }));
  });
}

/** Hosts that only VirtualServices speak of, such as `localhost` with a path prefix per service; they hold on every port. */
function ownPlans(snapshot: Snapshot, node: ProxyNode, view: MeshView, admits: Admits): Planned[] {
  return [...snapshot.virtualServices.byHost].flatMap(([host, all]) => {
    const virtuals = all.filter(admits);
    if (virtuals.length === 0 || view.services.has(host)) return [];
    return {
      own: [host],
      plan: {
        name: host,
        domains: [host, ...shortForms(host, node.namespace)],
        virtuals,
        place: { node, gateway: "mesh", port: undefined },
      },
    };
  });
}

function notForSidecars(snapshot: Snapshot, node: ProxyNode, visible: Admits): SkippedRule[] {
  return snapshot.virtualServices.all.flatMap((virtual) => {
    const why = !visible(virtual)
      ? `its VirtualService is not exported to this namespace (exportTo ${virtual.exportTo.join(", ")})`
      : `its VirtualService is for ${virtual.gateways.join(", ")}, not for sidecars (mesh)`;
    if (visible(virtual) && virtual.gateways.includes("mesh")) return [];
    const hosts = virtual.hosts.flatMap((host) => [host, ...shortForms(host, node.namespace)]);
    return virtual.rules.map(({ name, source }) => ({ name, source, hosts, why }));
  });
}

/**
 * Requests for hosts that the mesh doesn't know go where their authority says. A proxy that was asked for its own address
 * must notice that itself: the control plane can't know every name that leads there.
 */
const allowAnyRoute: Route = {
  name: "allow_any",
  match: { path: { kind: "any" }, headers: [], queryParams: [] },
  action: (({ retry: _, ...once }) => once)(forwardTo(passthroughCluster.name)),
  requestHeaders: noHeaderOperations,
  responseHeaders: noHeaderOperations,
};

const allowAny: VirtualHost = Object.freeze({ name: "allow_any", domains: ["*"], routes: [allowAnyRoute] });
