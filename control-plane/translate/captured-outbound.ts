import type { FilterChain, HttpFilterChain } from "../../common/model/listener.ts";
import type { ProxyNode } from "../../common/model/node.ts";
import type { MeshSidecar, Snapshot } from "../snapshot/snapshot.ts";
import { notRedirected } from "./captured-inbound.ts";
import { blackHoleCluster, passthroughCluster } from "./clusters.ts";
import type { MeshView } from "./mesh-view.ts";
import { isHttp, referenceName } from "./routes.ts";

/** What HTTP without TLS is called where the first line of a connection is looked at (Envoy's http_inspector). */
const httpProtocols = ["http/1.0", "http/1.1", "h2c"];

/**
 * What is done with captured connections that no listener for their address takes: requests to ports where services speak HTTP, whatever
 * turns out to be HTTP on others, and the rest, which no service has.
 */
export function capturedChains(
  snapshot: Snapshot,
  node: ProxyNode,
  sidecar: MeshSidecar | undefined,
  view: MeshView,
  http: HttpFilterChain,
): readonly FilterChain[] {
  const own = node.bindings.outbound?.port ?? 0;
  const declared = [...httpPorts(view)].filter((port) => port !== own).sort((a, b) => a - b);
  return [
    notRedirected("virtualOutbound", own),
    ...declared.map((port) => ({ ...http, name: `${http.name}|${port}`, destinationPort: port })),
    ...detectedChains(http),
    ...strangerChains(snapshot, sidecar, view),
  ];
}

/** Requests on a port where nobody has said what is spoken. */
export function detectedChains(http: HttpFilterChain): readonly FilterChain[] {
  return [{ ...http, transport: "raw", applicationProtocols: httpProtocols }];
}

/** Connections to where no service is: they pass or not, as the outbound traffic policy says. */
export function strangerChains(
  snapshot: Snapshot,
  sidecar: MeshSidecar | undefined,
  view: MeshView,
): readonly FilterChain[] {
  const { chain, cluster } = strangerDestination(snapshot, sidecar, view);
  const tcp = { statPrefix: cluster, destinations: [{ cluster, weight: 1 }] };
  // Beside a chain for what is no TLS, one that asks for nothing is not looked at.
  return [
    { name: `${chain}|raw`, transport: "raw", tcp },
    { name: chain, tcp },
  ];
}

/** The ports where the services that may be named speak HTTP. */
export function httpPorts({ services, unnamed }: MeshView): ReadonlySet<number> {
  const ports = new Set<number>();
  for (const service of services.values()) {
    if (unnamed.has(service.hostname)) continue;
    for (const port of service.ports) if (isHttp(port)) ports.add(port.number);
  }
  return ports;
}

function strangerDestination(
  snapshot: Snapshot,
  sidecar: MeshSidecar | undefined,
  view: MeshView,
): { readonly chain: string; readonly cluster: string } {
  const policy = sidecar?.outboundPolicy ?? snapshot.settings.outboundPolicy;
  if (policy !== "allow-any") return { chain: "BlackHoleFilterChain", cluster: blackHoleCluster.name };
  const proxy = sidecar?.egressProxy;
  const cluster =
    proxy === undefined
      ? passthroughCluster.name
      : referenceName(proxy, undefined, (hostname) => view.services.get(hostname));
  return { chain: "PassthroughFilterChain", cluster };
}
