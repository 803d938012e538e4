import type { Cluster } from "../../common/model/cluster.ts";
import type { FilterChain, Listener, TcpFilterChain } from "../../common/model/listener.ts";
import type { ProxyNode } from "../../common/model/node.ts";
import type { ServicePort } from "../../common/model/service.ts";
import { inboundLimits } from "../snapshot/rate-limits.ts";
import { reuse } from "../snapshot/reuse.ts";
import type { MeshService, Snapshot } from "../snapshot/snapshot.ts";
import { blackHoleCluster, capturedCluster, inboundPassthroughCluster } from "./clusters.ts";
import { inboundChain } from "./inbound.ts";
import { isHttp } from "./routes.ts";

export interface CapturedInbound {
  readonly listener: Listener;
  readonly clusters: readonly Cluster[];
}

const made = new WeakMap<ProxyNode, CapturedInbound>();

/**
 * The way into a workload whose connections are captured: a chain for each of its ports that a service has, and one for all others, whose
 * bytes are passed on. Undefined for proxies that capture nothing.
 */
export function capturedInbound(snapshot: Snapshot, node: ProxyNode): CapturedInbound | undefined {
  const { inbound, captures } = node.bindings;
  if (inbound === undefined || !captures) return undefined;
  const ports = portsBehind(snapshot, node);
  const limits = ports.map(({ service }) => inboundLimits(snapshot.rateLimits, node, service.hostname));
  const inputs = [...ports.flatMap(({ port, service, served }) => [port, service, served]), ...limits.flat()];
  const captured = reuse(made.get(node), inputs, () => {
    const own = ports.map(({ port, service, served }) => capturedCluster(port, service, served.protocol));
    const chains = own.map((cluster, index): FilterChain => {
      const { port, served, service } = ports[index]!;
      const chain = isHttp(served)
        ? inboundChain(cluster, limits[index]!)
        : { ...tcpChain(cluster.name, cluster), source: service.source };
      return { ...chain, destinationPort: port };
    });
    const listener: Listener = {
      name: "virtualInbound",
      address: inbound.host,
      port: inbound.port,
      direction: "inbound",
      usesOriginalDestination: true,
      filterChains: [
        notRedirected("virtualInbound", inbound.port),
        ...chains,
        tcpChain("virtualInbound-passthrough", inboundPassthroughCluster),
      ],
    };
    return { listener, clusters: [...own, inboundPassthroughCluster, blackHoleCluster] };
  });
  made.set(node, captured);
  return captured;
}

/** Refuses connections to the proxy's own port: nobody redirected them, and it would be asked to call itself. */
export function notRedirected(listener: string, port: number): TcpFilterChain {
  return { ...tcpChain(`${listener}-blackhole`, blackHoleCluster), destinationPort: port };
}

/** Passes what comes on to a cluster. */
export function tcpChain(name: string, cluster: Cluster): TcpFilterChain {
  return {
    name,
    tcp: { statPrefix: cluster.name, destinations: [{ cluster: cluster.name, weight: 1 }] },
  };
}

/** A port of a workload and the service that leads to it. */
interface WorkloadPort {
  readonly port: number;
  readonly service: MeshService;
  readonly served: ServicePort;
}

interface KnownPorts {
  readonly services: ReadonlyMap<string, MeshService>;
  /** By namespace, then by address of the endpoint or name of its workload. */
  readonly byPlace: ReadonlyMap<string, readonly WorkloadPort[]>;
}

/** By a snapshot's endpoints, which stay the same object while none of them changes. */
const portsOf = new WeakMap<Snapshot["endpoints"], KnownPorts>();

/** The ports that services lead to, by number; of two services for one port the first by hostname. */
function portsBehind(snapshot: Snapshot, node: ProxyNode): readonly WorkloadPort[] {
  const services = snapshot.services.byKey;
  let known = portsOf.get(snapshot.endpoints);
  if (known?.services !== services) {
    known = { services, byPlace: findPorts(snapshot) };
    portsOf.set(snapshot.endpoints, known);
  }
  const found = new Map<number, WorkloadPort>();
  for (const place of [...(node.addresses ?? []), node.name]) {
    for (const candidate of known.byPlace.get(`${node.namespace} ${place}`) ?? []) {
      const other = found.get(candidate.port);
      if (other === undefined || candidate.service.hostname < other.service.hostname)
        found.set(candidate.port, candidate);
    }
  }
  return [...found.values()].sort((a, b) => a.port - b.port);
}

function findPorts(snapshot: Snapshot): ReadonlyMap<string, readonly WorkloadPort[]> {
  const byPlace = new Map<string, WorkloadPort[]>();
  for (const service of snapshot.services.byKey.values()) {
    const { byPort } = snapshot.endpoints.get(service.key)!;
    for (const served of service.ports) {
      if (served.protocol === "udp") continue;
      for (const { address, port, workload } of byPort.get(served.number) ?? []) {
        for (const place of new Set([address, workload?.name ?? ""])) {
          if (place === "") continue;
          const key = `${service.namespace} ${place}`;
          const known = byPlace.get(key);
          if (known === undefined) byPlace.set(key, [{ port, service, served }]);
          else known.push({ port, service, served });
        }
      }
    }
  }
  return byPlace;
}
