import type { DnsDomain, DnsTable } from "../../common/model/dns.ts";
import type { Listener } from "../../common/model/listener.ts";
import type { ProxyNode } from "../../common/model/node.ts";
import { reuse } from "../snapshot/reuse.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import { DomainClaims, shortForms } from "./domains.ts";
import type { MeshView } from "./mesh-view.ts";
import { answerableAddresses } from "./service-addresses.ts";

/** Istio's: so soon a change of addresses is seen. */
const ttlSeconds = 30;

const tables = new WeakMap<MeshView["services"], Map<string, DnsTable>>();

/** Where a captured workload's DNS questions are answered: the names of all services that it may see. */
export function dnsListeners(snapshot: Snapshot, node: ProxyNode, view: MeshView): readonly Listener[] {
  const { captures, dns: asked = [] } = node.bindings;
  if (!captures || asked.length === 0) return [];
  const known = tables.get(view.services) ?? new Map<string, DnsTable>();
  tables.set(view.services, known);
  const dns = reuse(known.get(node.namespace), [snapshot.services.byKey, view.unnamed], () => ({
    domains: domainsFor(snapshot, node.namespace, view),
  }));
  known.set(node.namespace, dns);
  return asked.map(({ host, port }) => ({
    name: `dns_${host}_${port}`,
    address: host,
    port,
    direction: "outbound",
    filterChains: [],
    dns,
  }));
}

function domainsFor(snapshot: Snapshot, namespace: string, { services, unnamed }: MeshView): DnsDomain[] {
  const named = [...services.values()].flatMap((service) => {
    const { hostname } = service;
    const addresses = unnamed.has(hostname) || hostname === "*" ? [] : answerableAddresses(snapshot, service);
    return addresses.length === 0 ? [] : [{ hostname, addresses }];
  });
  // First everyone's own name, then the short forms, as routes have it.
  const claims = new DomainClaims();
  for (const { hostname } of named) claims.claim(hostname, [hostname]);
  const formsOf = (hostname: string) => [hostname, ...shortForms(hostname, namespace)];
  for (const { hostname } of named) claims.claim(hostname, formsOf(hostname));
  return named.flatMap(({ hostname, addresses }) =>
    claims.keep(hostname, formsOf(hostname)).map((name) => ({ name, addresses, ttlSeconds })),
  );
}
