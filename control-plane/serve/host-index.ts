import { DomainTable } from "../../common/routing/domain-table.ts";
import type { EncodedResource } from "../../common/xds/encoded-resource.ts";
import { splitVirtualHostResourceName } from "../../common/xds/type-url.ts";
import { mapChanges } from "./map-changes.ts";

type Hosts = ReadonlyMap<string, EncodedResource>;

/** Finds virtual hosts as a proxy's own matcher would that had all of them. */
export interface HostIndex {
  /**
   * The resource that answers for `<route configuration>/<authority>`, or is called so itself. Undefined when only a virtual
   * host for all hosts does, or none.
   */
  find(name: string): string | undefined;
  /** The resources that answer for all hosts: whoever asks for some must have them too. */
  readonly forAll: readonly string[];
}

const known = new WeakMap<Hosts, HostIndex>();

/**
 * Made once for all clients that have the same virtual hosts before them; `before` is what the client had, because most
 * changes are of rules and leave all domains where they are.
 */
export function hostIndex(hosts: Hosts, before?: Hosts): HostIndex {
  let index = known.get(hosts);
  if (index === undefined) {
    const old = before && known.get(before);
    index = old !== undefined && haveSameDomains(before!, hosts) ? old : makeIndex(hosts);
    known.set(hosts, index);
  }
  return index;
}

function haveSameDomains(before: Hosts, after: Hosts): boolean {
  const { changed, removed } = mapChanges(before, after);
  if (removed.length > 0) return false;
  return changed.every(({ name, domains = [] }) => {
    const old = before.get(name)?.domains;
    return old?.length === domains.length && domains.every((domain, at) => domain === old[at]);
  });
}

function makeIndex(hosts: Hosts): HostIndex {
  const forAll: string[] = [];
  const names = new Set(hosts.keys());
  const byConfiguration = Map.groupBy(
    hosts.values(),
    ({ name }) => splitVirtualHostResourceName(name).routeConfiguration,
  );
  const tables = new Map(
    Array.from(byConfiguration, ([configuration, all]) => {
      const entries = all.flatMap(({ name, domains = [] }) => {
        if (domains.includes("*")) forAll.push(name);
        return domains.map((domain) => ({ domain, value: name }));
      });
      return [configuration, new DomainTable(entries)];
    }),
  );
  const isForAll = new Set(forAll);
  return {
    forAll,
    find(name) {
      if (names.has(name)) return name;
      const { routeConfiguration, virtualHost: authority } = splitVirtualHostResourceName(name);
      if (authority === undefined) return undefined;
      const found = tables.get(routeConfiguration)?.find(authority)?.value;
      return found === undefined || isForAll.has(found) ? undefined : found;
    },
  };
}
