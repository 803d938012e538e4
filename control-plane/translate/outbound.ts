import type { HttpFilterChain, Listener } from "../../common/model/listener.ts";
import type { ProxyNode } from "../../common/model/node.ts";
import type { Route, VirtualHost } from "../../common/model/route.ts";
import { noHeaderOperations } from "../../common/model/route.ts";
import { virtualHostResourceName } from "../../common/xds/type-url.ts";
import { isVisible } from "../snapshot/hosts.ts";
import { imports, sidecarFor } from "../snapshot/sidecars.ts";
import type {
  MeshDestinationRule,
  MeshService,
  MeshSidecar,
  MeshVirtualService,
  Snapshot,
} from "../snapshot/snapshot.ts";
import type { VirtualServiceIndex } from "../snapshot/virtual-services.ts";
import { virtualServicesFor } from "../snapshot/virtual-services.ts";
import { capturedChains } from "./captured-outbound.ts";
import { changedKeys } from "./changed-keys.ts";
import { passthroughCluster } from "./clusters.ts";
import { barePort, DomainClaims, domainsOf, shortForms, virtualAddresses } from "./domains.ts";
import type { FindHashing } from "./hash-policies.ts";
import { findHashing, hashingRules } from "./hash-policies.ts";
import type { MeshView } from "./mesh-view.ts";
import { meshView, viewKey } from "./mesh-view.ts";
import type { SkippedRule } from "./proxy-resources.ts";
import { forwardTo, isHttp, referenceName } from "./routes.ts";
import type { HostPlan, TranslatedHost } from "./virtual-hosts.ts";
import { labelsIn, translateHost } from "./virtual-hosts.ts";

/** The route configuration behind a sidecar's explicit proxy port, in Istio's word. */
export const httpProxy = "http_proxy";

export interface OutboundRoutes {
  /** By VHDS name. */
  readonly virtualHosts: ReadonlyMap<string, VirtualHost>;
  /** Put together only for those who ask. */
  skipped(): readonly SkippedRule[];
}

/** Routes with what they were made from, so that the next ones are made from what changed. */
interface RoutesState {
  readonly sidecar: MeshSidecar | undefined;
  readonly services: MeshView["services"];
  readonly unnamed: MeshView["unnamed"];
  readonly virtuals: VirtualServiceIndex;
  /** The DestinationRules that routes depend on. */
  readonly hashing: readonly MeshDestinationRule[];
  /** By virtual host name; domains are those that it may keep. */
  readonly hosts: ReadonlyMap<
    string,
    { readonly plan: HostPlan; readonly translated: TranslatedHost | undefined }
  >;
  readonly routes: OutboundRoutes;
}

const states = new WeakMap<object, Map<string, RoutesState>>();

/**
 * What a sidecar knows of the mesh's hosts; once per snapshot, namespace and the labels that any rule asks for. After a
 * change of VirtualServices only their hosts are looked at.
 */
export function outboundRoutes(
  snapshot: Snapshot,
  node: ProxyNode,
  sidecar: MeshSidecar | undefined = sidecarFor(snapshot, node),
): OutboundRoutes {
  const known = states.get(snapshot.lineage) ?? new Map<string, RoutesState>();
  states.set(snapshot.lineage, known);
  const policy = sidecar?.outboundPolicy ?? snapshot.settings.outboundPolicy;
  const key = `${viewKey(node.namespace, sidecar)} ${policy} ${proxyOf(sidecar)} ${labelsIn(node, snapshot.virtualServices.sourceLabelKeys)}`;
  const view = meshView(snapshot, node, sidecar);
  const state = known.get(key);
  const isSame =
    state?.services === view.services &&
    state.unnamed === view.unnamed &&
    state.hashing === hashingRules(snapshot) &&
    state.sidecar?.egress === sidecar?.egress;
  if (isSame && state.virtuals === snapshot.virtualServices) return state.routes;
  const next =
    (isSame ? patchRoutes(state, snapshot, node, view) : undefined) ??
    makeRoutes(snapshot, node, view, sidecar, state);
  known.set(key, next);
  return next.routes;
}

export function outboundListener(snapshot: Snapshot, node: ProxyNode): Listener | undefined {
  const { outbound, captures } = node.bindings;
  if (outbound === undefined) return undefined;
  const base = { name: "virtualOutbound", address: outbound.host, port: outbound.port } as const;
  if (!captures) return { ...base, direction: "outbound", filterChains: [httpProxyChain] };
  const sidecar = sidecarFor(snapshot, node);
  const view = meshView(snapshot, node, sidecar);
  const filterChains = capturedChains(snapshot, node, sidecar, view, httpProxyChain);
  return { ...base, direction: "outbound", usesOriginalDestination: true, filterChains };
}

/** Requests by their authority. */
export const httpProxyChain: HttpFilterChain = Object.freeze<HttpFilterChain>({
  name: httpProxy,
  http: { statPrefix: httpProxy, routes: { kind: "rds", routeConfigName: httpProxy } },
});

function makeRoutes(
  snapshot: Snapshot,
  node: ProxyNode,
  view: MeshView,
  sidecar: MeshSidecar | undefined,
  before: RoutesState | undefined,
): RoutesState {
  const admits = inMesh(node, sidecar);
  const { virtualServices } = snapshot;
  const hashing = findHashing(snapshot, node.namespace);
  const isNamed = (host: string) => view.services.has(host) && !view.unnamed.has(host);
  const plans = [
    ...[...view.services.values()].flatMap((service) =>
      isNamed(service.hostname) ? servicePlans(virtualServices, service, node, admits) : [],
    ),
    ...[...virtualServices.byHost.keys()].flatMap((host) =>
      isNamed(host) ? [] : (ownPlan(virtualServices, host, node, inMesh(node, sidecar, host)) ?? []),
    ),
  ];
  // First everyone's own name, then the short forms: so `reviews` goes to whoever is called just that, if anyone is.
  const claims = new DomainClaims();
  for (const { plan, own } of plans) claims.claim(plan.name, own);
  for (const { plan } of plans) claims.claim(plan.name, plan.domains);
  const hosts = new Map(
    plans.map(({ plan }) => {
      const kept = { ...plan, domains: claims.keep(plan.name, plan.domains) };
      return [plan.name, { plan: kept, translated: translatePlan(kept, view, hashing, before) }];
    }),
  );
  const virtualHosts = new Map<string, VirtualHost>();
  for (const { translated } of hosts.values()) place(virtualHosts, translated);
  const policy = sidecar?.outboundPolicy ?? snapshot.settings.outboundPolicy;
  const others = policy === "allow-any" ? allowAnyFor(sidecar, view) : blockAll;
  if (!virtualHosts.has(nameOf("*"))) virtualHosts.set(nameOf(others.name), others);
  const { services, unnamed } = view;
  const routes = { virtualHosts, skipped: skippedIn(snapshot, node, sidecar, hosts) };
  return {
    sidecar,
    services,
    unnamed,
    virtuals: virtualServices,
    hashing: hashingRules(snapshot),
    hosts,
    routes,
  };
}

/** The same services, other VirtualServices. Undefined when it may have become another's turn to own a domain. */
function patchRoutes(
  state: RoutesState,
  snapshot: Snapshot,
  node: ProxyNode,
  view: MeshView,
): RoutesState | undefined {
  const { virtualServices } = snapshot;
  const admits = inMesh(node, state.sidecar);
  const hosts = new Map(state.hosts);
  const virtualHosts = new Map(state.routes.virtualHosts);
  for (const host of changedHosts(state.virtuals, virtualServices)) {
    if (host.startsWith("*")) return undefined;
    const service = view.unnamed.has(host) ? undefined : view.services.get(host);
    const own = ownPlan(virtualServices, host, node, inMesh(node, state.sidecar, host));
    if (service === undefined && (own !== undefined) !== hosts.has(host)) return undefined;
    const plans = service ? servicePlans(virtualServices, service, node, admits) : own ? [own] : [];
    for (const { plan } of plans) {
      const kept = { ...plan, domains: hosts.get(plan.name)?.plan.domains ?? [] };
      const translated = translatePlan(kept, view, findHashing(snapshot, node.namespace), state);
      hosts.set(plan.name, { plan: kept, translated });
      virtualHosts.delete(nameOf(plan.name));
      place(virtualHosts, translated);
    }
  }
  const kept = sameElements(state.routes.virtualHosts, virtualHosts)
    ? state.routes.virtualHosts
    : virtualHosts;
  const routes = { virtualHosts: kept, skipped: skippedIn(snapshot, node, state.sidecar, hosts) };
  return { ...state, virtuals: virtualServices, hosts, routes };
}

function translatePlan(
  plan: HostPlan,
  view: MeshView,
  hashing: FindHashing,
  before: RoutesState | undefined,
): TranslatedHost | undefined {
  if (plan.domains.length === 0) return undefined;
  const host = before?.routes.virtualHosts.get(nameOf(plan.name));
  return translateHost(plan, (hostname) => view.services.get(hostname), hashing, host);
}

function place(virtualHosts: Map<string, VirtualHost>, translated: TranslatedHost | undefined): void {
  if (translated === undefined || translated.virtualHost.routes.length === 0) return;
  virtualHosts.set(nameOf(translated.virtualHost.name), translated.virtualHost);
}

function nameOf(virtualHost: string): string {
  return virtualHostResourceName(httpProxy, virtualHost);
}

function changedHosts(before: VirtualServiceIndex, after: VirtualServiceIndex): ReadonlySet<string> {
  return changedKeys(before.byHost, after.byHost);
}

function sameElements(a: ReadonlyMap<string, unknown>, b: ReadonlyMap<string, unknown>): boolean {
  return changedKeys(a, b).size === 0;
}

function skippedIn(
  snapshot: Snapshot,
  node: ProxyNode,
  sidecar: MeshSidecar | undefined,
  hosts: RoutesState["hosts"],
): OutboundRoutes["skipped"] {
  let found: readonly SkippedRule[] | undefined;
  return () => {
    found ??= [
      ...[...hosts.values()].flatMap(({ translated }) => translated?.skipped ?? []),
      ...notForSidecars(snapshot, node, sidecar),
    ];
    return found;
  };
}

function isExported(virtual: MeshVirtualService, node: ProxyNode): boolean {
  return isVisible(virtual.exportTo, virtual.key.namespace, node.namespace);
}

/** Without `host`, a VirtualService counts when any of its hosts is imported: then it may route a service that is. */
function inMesh(node: ProxyNode, sidecar: MeshSidecar | undefined, host?: string): Admits {
  return (virtual) =>
    virtual.gateways.includes("mesh") &&
    isExported(virtual, node) &&
    isImported(virtual, node, sidecar, host);
}

function isImported(
  { key, hosts }: MeshVirtualService,
  node: ProxyNode,
  sidecar: MeshSidecar | undefined,
  host: string | undefined,
): boolean {
  const wanted = host === undefined ? hosts : [host];
  return wanted.some((name) => imports(sidecar, key.namespace, name, node.namespace));
}

interface Planned {
  readonly plan: HostPlan;
  /** The domains that nobody else may take. */
  readonly own: readonly string[];
}

type Admits = (virtual: MeshVirtualService) => boolean;

function servicePlans(
  index: VirtualServiceIndex,
  service: MeshService,
  node: ProxyNode,
  admits: Admits,
): Planned[] {
  const { hostname } = service;
  const virtuals = virtualServicesFor(index, hostname, admits);
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
}

/** A host that only VirtualServices speak of, such as `localhost` with a path prefix per service; it holds on every port. */
function ownPlan(
  index: VirtualServiceIndex,
  host: string,
  node: ProxyNode,
  admits: Admits,
): Planned | undefined {
  const virtuals = index.byHost.get(host)?.filter(admits) ?? [];
  if (virtuals.length === 0) return undefined;
  const domains = [host, ...shortForms(host, node.namespace)];
  const place = { node, gateway: "mesh", port: undefined };
  return { own: [host], plan: { name: host, domains, virtuals, place } };
}

function notForSidecars(
  snapshot: Snapshot,
  node: ProxyNode,
  sidecar: MeshSidecar | undefined,
): SkippedRule[] {
  const admits = inMesh(node, sidecar);
  return snapshot.virtualServices.all.flatMap((virtual) => {
    if (admits(virtual)) return [];
    const why = !virtual.gateways.includes("mesh")
      ? `its VirtualService is for ${virtual.gateways.join(", ")}, not for sidecars (mesh)`
      : isExported(virtual, node)
        ? `Sidecar ${sidecar?.key.namespace}/${sidecar?.key.name} does not import it (egress hosts)`
        : `its VirtualService is not exported to this namespace (exportTo ${virtual.exportTo.join(", ")})`;
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

/** With REGISTRY_ONLY: Istio's answer, and its name for it. */
const blockAllRoute: Route = {
  ...allowAnyRoute,
  name: "block_all",
  action: { kind: "direct-response", status: 502, body: new Uint8Array() },
};

/** With egressProxy: that service takes what no service has. */
function allowAnyFor(sidecar: MeshSidecar | undefined, view: MeshView): VirtualHost {
  if (sidecar?.egressProxy === undefined) return allowAny;
  const cluster = referenceName(sidecar.egressProxy, undefined, (hostname) => view.services.get(hostname));
  return { ...allowAny, routes: [{ ...allowAnyRoute, action: forwardTo(cluster), source: sidecar.source }] };
}

function proxyOf(sidecar: MeshSidecar | undefined): string {
  const { host, subset = "", port } = sidecar?.egressProxy ?? { host: "" };
  return `${host}|${subset}|${port}`;
}

const blockAll: VirtualHost = Object.freeze({ name: "block_all", domains: ["*"], routes: [blockAllRoute] });

const allowAny: VirtualHost = Object.freeze({ name: "allow_any", domains: ["*"], routes: [allowAnyRoute] });

/** The virtual hosts of ours that take what nobody in the mesh is called. */
export const catchAlls: ReadonlySet<string> = new Set([allowAny.name, blockAll.name]);
