import { clusterLocalName } from "../snapshot/hosts.ts";
import type { MeshService } from "../snapshot/snapshot.ts";
import { isHttp } from "./routes.ts";

/**
 * Other names of a host, for a proxy in `namespace`: the short forms as cluster DNS has them, `reviews` only in its own
 * namespace, `reviews.default`, `reviews.default.svc`.
 */
export function shortForms(hostname: string, namespace: string): readonly string[] {
  const local = clusterLocalName(hostname);
  if (local === undefined) return [];
  const qualified = [`${local.name}.${local.namespace}`, `${local.name}.${local.namespace}.svc`];
  return local.namespace === namespace ? [local.name, ...qualified] : qualified;
}

/** The virtual IP addresses of a service as they stand in a Host header; ranges can't. */
export function virtualAddresses({ addresses }: MeshService): readonly string[] {
  return addresses
    .filter((address) => !address.includes("/"))
    .map((address) => (address.includes(":") ? `[${address}]` : address));
}

/** With the port; and without when `isBare`. `*` can't say its port: the matcher would read `*:80` as any host. */
export function domainsOf(hosts: readonly string[], port: number, isBare: boolean): readonly string[] {
  const withPort = hosts.filter((host) => host !== "*").map((host) => `${host}:${port}`);
  return isBare ? [...hosts, ...withPort] : withPort;
}

/** The port that a request without one means: 80, else the service's first HTTP port. */
export function barePort({ ports }: MeshService): number | undefined {
  const http = ports.filter(isHttp);
  return (http.find(({ number }) => number === 80) ?? http[0])?.number;
}

/** Which virtual host has which domain: no two may have the same. Who claims first keeps it. */
export class DomainClaims {
  readonly #owners = new Map<string, string>();

  claim(owner: string, domains: readonly string[]): void {
    for (const domain of domains) if (!this.#owners.has(domain)) this.#owners.set(domain, owner);
  }

  keep(owner: string, domains: readonly string[]): readonly string[] {
    return domains.filter((domain) => this.#owners.get(domain) === owner);
  }
}
