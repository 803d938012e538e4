import { defaultTrustDomain, spiffeIdOf } from "../../common/identity/spiffe.ts";
import type { Cluster } from "../../common/model/cluster.ts";
import type { Endpoint } from "../../common/model/endpoint.ts";
import type { FilterChain, Listener } from "../../common/model/listener.ts";
import type { ProxyNode } from "../../common/model/node.ts";
import type { ClientTls, ServerTls } from "../../common/model/tls.ts";
import { mutualTlsMode } from "../snapshot/peer-authentications.ts";
import type { MeshSettings, Snapshot } from "../snapshot/snapshot.ts";

/** The mesh's own trust domain, then its aliases. */
export function trustDomainsOf({ trustDomains = [defaultTrustDomain] }: MeshSettings): readonly string[] {
  return trustDomains;
}

/** What a cluster's mutual TLS depends on. */
export interface MeshTlsTarget {
  readonly hostname: string;
  readonly namespace: string;
  readonly port: number;
  readonly subset: string;
  /** Those of the cluster. */
  readonly endpoints: readonly Endpoint[];
  readonly trustDomains: readonly string[];
}

/**
 * TLS by the workload's own identity. The server may be any of the service accounts behind the cluster, in any of the mesh's trust
 * domains (Istio's secure naming); the server name tells port, subset and host as Istio's does.
 */
export function meshTlsTo(
  asked: Pick<ClientTls, "sni" | "subjectAltNames"> | undefined,
  to: MeshTlsTarget,
): ClientTls {
  const names = asked?.subjectAltNames ?? [];
  return {
    identity: true,
    sni: asked?.sni ?? `outbound_.${to.port}_.${to.subset}_.${to.hostname}`,
    subjectAltNames: names.length > 0 ? names : accountsBehind(to),
    insecureSkipVerify: false,
  };
}

/** Automatic mutual TLS, for clusters of which an endpoint can; undefined for others. */
export function automaticTls(to: MeshTlsTarget): ClientTls | undefined {
  const able = to.endpoints.filter(({ tlsMode }) => tlsMode === "istio");
  return able.length === 0 ? undefined : meshTlsTo(undefined, { ...to, endpoints: able });
}

function accountsBehind({ endpoints, namespace: home, trustDomains }: MeshTlsTarget): readonly string[] {
  const accounts = new Set(
    endpoints.flatMap(({ workload }) => {
      if (workload === undefined) return [];
      const { namespace, serviceAccount } = workload;
      return [`${namespace === "" ? home : namespace} ${serviceAccount === "" ? "default" : serviceAccount}`];
    }),
  );
  return [...accounts].sort().flatMap((account) => {
    const [namespace = "", serviceAccount = ""] = account.split(" ");
    return trustDomains.map((trustDomain) => spiffeIdOf({ trustDomain, namespace, serviceAccount }));
  });
}

const plain = new WeakMap<ReadonlyMap<string, Cluster>, ReadonlyMap<string, Cluster>>();

/** For proxies without an identity: what is automatic falls away, and what a rule demands fails there. */
export function withoutIdentity(clusters: ReadonlyMap<string, Cluster>): ReadonlyMap<string, Cluster> {
  let known = plain.get(clusters);
  if (known === undefined) {
    const isPlain = [...clusters.values()].every(({ mutualTls }) => mutualTls === undefined);
    known = isPlain
      ? clusters
      : new Map(Array.from(clusters, ([name, cluster]) => [name, withoutMutualTls(cluster)] as const));
    plain.set(clusters, known);
  }
  return known;
}

const stripped = new WeakMap<Cluster, Cluster>();

function withoutMutualTls(cluster: Cluster): Cluster {
  if (cluster.mutualTls === undefined) return cluster;
  const { mutualTls: _, ...rest } = cluster;
  const known = stripped.get(cluster) ?? Object.freeze(rest);
  stripped.set(cluster, known);
  return known;
}

/** The application protocols by which Istio's and our proxies say that TLS is the mesh's. */
const meshProtocols = ["istio", "istio-peer-exchange", "istio-http/1.0", "istio-http/1.1", "istio-h2"];

/** The same for a listener whose chains are each for a port of the app, or for all other ports. */
export function securedByPort(snapshot: Snapshot, node: ProxyNode, listener: Listener): Listener {
  const filterChains = listener.filterChains.flatMap((chain): readonly FilterChain[] => {
    const { destinationPort: port } = chain;
    // The listener's own port leads nowhere.
    if (port === listener.port) return [chain];
    const one = { ...listener, filterChains: [chain] };
    return secured(snapshot, node, one, port === undefined ? [] : [port]).filterChains;
  });
  return { ...listener, filterChains };
}

/** An inbound listener whose callers must or may use mutual TLS, as PeerAuthentication says. `ports`: by which the app is known. */
export function secured(
  snapshot: Snapshot,
  node: ProxyNode,
  listener: Listener,
  ports: readonly number[],
): Listener {
  const { settings, peerAuthentications } = snapshot;
  const mode = mutualTlsMode(peerAuthentications, node, ports, settings.rootNamespace);
  // Without an identity it can't ask for one; what must not come in plain then does not come in at all.
  if (mode === "disable" || (mode === "permissive" && !node.hasIdentity)) return listener;
  const tls: ServerTls = { identity: { trustDomains: trustDomainsOf(settings) }, cipherSuites: [] };
  return {
    ...listener,
    filterChains: listener.filterChains.flatMap((chain): FilterChain[] =>
      mode === "strict"
        ? [{ ...chain, transport: "tls", tls }]
        : [
            {
              ...chain,
              name: `${chain.name}|mtls`,
              transport: "tls",
              applicationProtocols: meshProtocols,
              tls,
            },
            // TLS that the app itself ends.
            ...(chain.tcp && chain.transport === undefined
              ? [{ ...chain, name: `${chain.name}|tls`, transport: "tls" as const }]
              : []),
            chain,
          ],
    ),
  };
}
