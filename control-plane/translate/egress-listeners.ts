import type { Cluster } from "../../common/model/cluster.ts";
import type { EndpointSet } from "../../common/model/endpoint.ts";
import type { FilterChain, Listener } from "../../common/model/listener.ts";
import type { ProxyNode } from "../../common/model/node.ts";
import type { VirtualHost } from "../../common/model/route.ts";
import type { ServicePort } from "../../common/model/service.ts";
import { virtualHostResourceName } from "../../common/xds/type-url.ts";
import { isVisible } from "../snapshot/hosts.ts";
import { imports, sidecarFor } from "../snapshot/sidecars.ts";
import type { EgressListener, MeshService, MeshSidecar, Snapshot } from "../snapshot/snapshot.ts";
import { virtualServicesFor } from "../snapshot/virtual-services.ts";
import { detectedChains, httpPorts, strangerChains } from "./captured-outbound.ts";
import type { ChainContext } from "./connection-chains.ts";
import { ChainMatches, holdingMatches, ruleChain, serviceTcp } from "./connection-chains.ts";
import type { MeshView } from "./mesh-view.ts";
import { meshView } from "./mesh-view.ts";
import { httpProxyChain, outboundRoutes } from "./outbound.ts";
import { isHttp } from "./routes.ts";
import { serviceAddresses } from "./service-addresses.ts";

/** What a sidecar opens besides its one HTTP port, and what that needs. */
export interface EgressResources {
  readonly listeners: readonly Listener[];
  /** By route configuration, then by VHDS name. */
  readonly virtualHosts: ReadonlyMap<string, ReadonlyMap<string, VirtualHost>>;
  readonly clusters: ReadonlyMap<string, Cluster>;
  readonly endpoints: ReadonlyMap<string, EndpointSet>;
}

/**
 * The listeners that the proxy's Sidecar asks for by port (Istio's egress[].port); and where connections are captured, one per address
 * and port of the services that speak neither HTTP nor anything that a Sidecar's own listener takes.
 */
export function egressListeners(snapshot: Snapshot, node: ProxyNode): EgressResources {
  const sidecar = sidecarFor(snapshot, node);
  const made = (sidecar?.listeners ?? []).flatMap(
    (listener) => ownListener(snapshot, node, sidecar!, listener) ?? [],
  );
  const taken = new Set(made.map(({ listener }) => `${listener.address}:${listener.port}`));
  const captured = node.bindings.captures ? serviceListeners(snapshot, node, sidecar, taken) : [];
  return {
    listeners: [...made.map(({ listener }) => listener), ...captured],
    virtualHosts: new Map(
      made.flatMap(({ listener, virtualHosts }) =>
        virtualHosts === undefined ? [] : [[listener.name, virtualHosts] as const],
      ),
    ),
    clusters: new Map(made.flatMap(({ view }) => [...view.clusters])),
    endpoints: new Map(made.flatMap(({ view }) => [...view.endpoints])),
  };
}

interface OwnListener {
  readonly listener: Listener;
  readonly view: MeshView;
  /** Of a listener for HTTP. */
  readonly virtualHosts?: ReadonlyMap<string, VirtualHost>;
}

/** A Sidecar that imports what one of its listeners has: the same object for the same listener, so that views keep. */
const scopes = new WeakMap<EgressListener, MeshSidecar>();

function scopeOf(sidecar: MeshSidecar, listener: EgressListener): MeshSidecar {
  let scope = scopes.get(listener);
  if (scope === undefined) {
    const { listeners: _, ...rest } = sidecar;
    const name = `${sidecar.key.name}:${listener.bind ?? ""}:${listener.port}`;
    scope = { ...rest, key: { ...sidecar.key, name }, egress: listener.hosts };
    scopes.set(listener, scope);
  }
  return scope;
}

/** Undefined when nothing would answer there. */
function ownListener(
  snapshot: Snapshot,
  node: ProxyNode,
  sidecar: MeshSidecar,
  asked: EgressListener,
): OwnListener | undefined {
  const captures =
    asked.capture === "iptables" || (asked.capture === "default" && node.bindings.captures === true);
  const address = asked.bind ?? (captures ? "0.0.0.0" : "127.0.0.1");
  const name = `${address}_${asked.port}`;
  const scope = scopeOf(sidecar, asked);
  const view = meshView(snapshot, node, scope);
  const base = {
    name,
    address,
    port: asked.port,
    direction: "outbound" as const,
    ...(captures ? { bindsPort: false as const } : {}),
    source: asked.source,
  };
  if (isHttp(asked)) {
    const virtualHosts = hostsOnPort(outboundRoutes(snapshot, node, scope).virtualHosts, name, asked.port);
    const http = { statPrefix: name, routes: { kind: "rds" as const, routeConfigName: name } };
    return { listener: { ...base, filterChains: [{ name, http }] }, view, virtualHosts };
  }
  // Where a real port is opened, its own address is all that connections are meant for.
  const chains = portChains(snapshot, node, scope, view, asked.port, captures);
  return chains.length === 0 ? undefined : { listener: { ...base, filterChains: chains }, view };
}

/** The virtual hosts of a port, and those for every port, under the names of another route configuration. */
function hostsOnPort(
  all: ReadonlyMap<string, VirtualHost>,
  configuration: string,
  port: number,
): ReadonlyMap<string, VirtualHost> {
  const known = renamed.get(all) ?? new Map<string, ReadonlyMap<string, VirtualHost>>();
  renamed.set(all, known);
  let hosts = known.get(configuration);
  if (hosts === undefined) {
    const kept = [...all.values()].filter(({ name }) => {
      const own = /:(\d+)$/.exec(name)?.[1];
      return own === undefined || own === String(port);
    });
    hosts = new Map(kept.map((host) => [virtualHostResourceName(configuration, host.name), host]));
    known.set(configuration, hosts);
  }
  return hosts;
}

const renamed = new WeakMap<
  ReadonlyMap<string, VirtualHost>,
  Map<string, ReadonlyMap<string, VirtualHost>>
>();

/** Captured connections arrive with the address that they were meant for: a listener for each that a service has. */
function serviceListeners(
  snapshot: Snapshot,
  node: ProxyNode,
  sidecar: MeshSidecar | undefined,
  taken: ReadonlySet<string>,
): Listener[] {
  const view = meshView(snapshot, node, sidecar);
  const requests = httpPorts(view);
  const ports = new Set(
    [...view.services.values()].flatMap(({ ports }) =>
      ports.filter(isConnection).map(({ number }) => number),
    ),
  );
  return [...ports]
    .sort((a, b) => a - b)
    .flatMap((port): Listener[] => {
      if (taken.has(`0.0.0.0:${port}`)) return [];
      const chains = portChains(snapshot, node, sidecar, view, port, true);
      if (chains.length === 0) return [];
      // Other addresses may have the same port.
      const others = chains.some(takesAll)
        ? []
        : [
            ...(requests.has(port) ? detectedChains(httpProxyChain) : []),
            ...strangerChains(snapshot, sidecar, view),
          ];
      const filterChains = [...chains, ...others];
      const name = `0.0.0.0_${port}`;
      return [{ name, address: "0.0.0.0", port, direction: "outbound", bindsPort: false, filterChains }];
    });
}

/**
 * The chains of one port: what the `tls` and `tcp` rules for its services say, and for a service without any, the service itself. Of two
 * services that nothing tells apart the first by name counts.
 */
function portChains(
  snapshot: Snapshot,
  node: ProxyNode,
  sidecar: MeshSidecar | undefined,
  view: MeshView,
  port: number,
  knowsAddresses: boolean,
): FilterChain[] {
  const context: ChainContext = {
    snapshot,
    node,
    place: { node, gateway: "mesh", port },
    find: (hostname) => view.services.get(hostname),
  };
  const taken = new ChainMatches();
  return [...view.services.values()].flatMap((service): FilterChain[] => {
    const served = service.ports.find(({ number }) => number === port);
    if (served === undefined || !isConnection(served) || view.unnamed.has(service.hostname)) return [];
    const addresses = knowsAddresses ? service.addresses : undefined;
    const virtuals = virtualServicesFor(
      snapshot.virtualServices,
      service.hostname,
      ({ key, gateways, exportTo, hosts }) =>
        gateways.includes("mesh") &&
        isVisible(exportTo, key.namespace, node.namespace) &&
        hosts.some((host) => imports(sidecar, key.namespace, host, node.namespace)),
    );
    const chains = serviceChains(service, served, addresses, virtuals, context);
    return chains.filter((chain) => taken.take(chain));
  });
}

function serviceChains(
  service: MeshService,
  { number, protocol }: ServicePort,
  own: readonly string[] | undefined,
  virtuals: Parameters<typeof holdingMatches>[0],
  context: ChainContext,
): FilterChain[] {
  const isTls = protocol === "tls" || protocol === "https";
  const names = holdingMatches(virtuals, "tls", context.place);
  const answered =
    own?.length === 0 && names.length === 0 && context.node.bindings.dns !== undefined
      ? serviceAddresses(context.snapshot, service)
      : [];
  const addresses = isTls || answered.length === 0 ? (own ?? []) : answered;
  const narrowed = (cidrs: readonly string[] | undefined) => {
    const destinationCidrs = cidrs ?? addresses;
    return destinationCidrs.length > 0 ? { destinationCidrs } : {};
  };
  const byName = names.map((holding) => {
    const serverNames = holding.match.serverNames.filter((name) => name !== "*");
    const match = {
      ...narrowed(holding.match.destinationCidrs),
      ...(serverNames.length > 0 ? { serverNames } : { transport: "tls" as const }),
    };
    return ruleChain(`tls.${number}`, holding, match, context);
  });
  const byAddress = holdingMatches(virtuals, "tcp", context.place).map((holding) => {
    const { destinationCidrs, sourceCidrs } = holding.match;
    const match = { ...narrowed(destinationCidrs), ...(sourceCidrs ? { sourceCidrs } : {}) };
    return ruleChain(`tcp.${number}`, holding, match, context);
  });
  if (byName.length + byAddress.length > 0) return [...byName, ...byAddress];
  const { hostname } = service;
  const name = `outbound.${number}.${hostname}`;
  const tcp = serviceTcp(name, { host: hostname, port: number }, context);
  const serverNames = isTls && hostname !== "*" ? { serverNames: [hostname] } : {};
  const { source } = service;
  const chain = { name, ...narrowed(undefined), ...serverNames, source, tcp };
  if (!isTls || answered.length === 0) return [chain];
  // Who asks by server name may have the address from somewhere else than our DNS; who has it from there may ask by a short name.
  return [chain, { name: `${name}|address`, destinationCidrs: answered, source, tcp }];
}

/** A port whose bytes are passed on as they are. */
function isConnection(port: ServicePort): boolean {
  return !isHttp(port) && port.protocol !== "udp";
}

function takesAll({
  destinationCidrs = [],
  serverNames = [],
  transport,
  sourceCidrs = [],
}: FilterChain): boolean {
  return transport === undefined && destinationCidrs.length + serverNames.length + sourceCidrs.length === 0;
}
