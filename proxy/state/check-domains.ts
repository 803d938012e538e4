import type { Problem } from "../../common/base/problem.ts";
import type { VirtualHost } from "../../common/model/route.ts";
import { inOrderOfRight } from "./in-order-of-right.ts";

type VirtualHosts = ReadonlyMap<string, { readonly value: VirtualHost }>;

/**
 * Finds domains that two virtual hosts of one route configuration claim: the matcher would have to guess (Envoy refuses the whole
 * configuration). The one that was there before keeps the domain; of two that come together, the first.
 */
export function checkDomains(
  all: VirtualHosts,
  arriving: VirtualHosts,
): ReadonlyMap<string, readonly Problem[]> {
  const problems = new Map<string, Problem[]>();
  const owners = new Map<string, string>();
  for (const resource of inOrderOfRight(all, arriving)) {
    const { domains } = all.get(resource)!.value;
    const configuration = resource.slice(0, resource.indexOf("/") + 1);
    domains.forEach((domain, at) => {
      const key = `${configuration}${domain}`;
      const owner = owners.get(key);
      if (owner === undefined) owners.set(key, resource);
      else if (arriving.has(resource)) {
        const problem = { path: `domains[${at}]`, why: `${domain} belongs to virtual host ${owner} already` };
        problems.set(resource, [...(problems.get(resource) ?? []), problem]);
      }
    });
  }
  return problems;
}
