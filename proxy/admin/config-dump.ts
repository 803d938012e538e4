import type { ProxyNode } from "../../common/model/node.ts";
import type { Source } from "../../common/model/source.ts";
import { formatSource } from "../../common/model/source.ts";
import type { ProxyConfig } from "../state/proxy-config.ts";

/** The sections of the dump, which are also the values of `?section=`. */
export const configSections = ["listeners", "routes", "clusters", "endpoints"] as const;
export type ConfigSection = (typeof configSections)[number];

/**
 * Everything that this proxy runs, with the control plane's version of each resource and the place in a file each route came from.
 * Plain data, to be printed as JSON.
 */
export function configDump(
  config: ProxyConfig,
  node: ProxyNode,
  sections: readonly ConfigSection[] = configSections,
): Readonly<Record<string, unknown>> {
  const dump: Record<string, unknown> = {
    node: { ...node, bindings: { ...node.bindings, servers: Object.fromEntries(node.bindings.servers) } },
  };
  for (const section of sections) dump[section] = print[section](config);
  return dump;
}

const print: Readonly<Record<ConfigSection, (config: ProxyConfig) => readonly unknown[]>> = {
  listeners: ({ received }) => versioned(received.listener, (listener) => withProvenance(listener)),
  clusters: ({ received }) => versioned(received.cluster, (cluster) => withProvenance(cluster)),
  endpoints: ({ received }) => versioned(received.endpoints, (set) => set),
  routes: (config) =>
    [...config.routes.values()].map((configuration) => ({
      version: config.received["route-configuration"].get(configuration.name)?.version ?? "",
      name: configuration.name,
      virtualHosts: configuration.virtualHosts.map((host) => ({
        version: config.received["virtual-host"].get(`${configuration.name}/${host.name}`)?.version,
        ...host,
        routes: host.routes.map(withProvenance),
      })),
    })),
};

function versioned<T>(
  resources: ReadonlyMap<string, { readonly version: string; readonly value: T }>,
  show: (value: T) => object,
): readonly unknown[] {
  return Array.from(resources.values(), ({ version, value }) => ({ version, ...show(value) }));
}

function withProvenance<T extends { readonly source?: Source }>(resource: T): object {
  const { source, ...rest } = resource;
  return source === undefined ? rest : { from: formatSource(source), ...rest };
}
