import type { Problem } from "../../common/base/problem.ts";
import type { ResourceStatus } from "../../common/model/mesh-status.ts";
import type { Source } from "../../common/model/source.ts";
import type { ResourceKey } from "../resources/resource.ts";
import { formatKey } from "../resources/resource.ts";
import type { ProxyStatus } from "../serve/proxy-status.ts";
import type { ResourceProblem } from "../snapshot/problems.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import { translate } from "../translate/translate.ts";
import { proxyName } from "./proxy-views.ts";

export interface StatusInput {
  readonly snapshot: Snapshot;
  /** Resources whose source can't be read now, by key (`formatKey`), and what is wrong there. */
  readonly stale: ReadonlyMap<string, readonly Problem[]>;
  readonly proxies: readonly ProxyStatus[];
  /** Number of the picture since which the live version of a resource is in it. */
  readonly liveSince: ReadonlyMap<string, number>;
}

/** The number in a picture's version; -1 for none. */
export function versionNumber(version: string | undefined): number {
  return version === undefined ? -1 : Number(version.slice(1));
}

/** Answers for one resource after the other; the work that all share is done once. */
export function resourceStatuses(input: StatusInput): (resource: ResourceKey) => ResourceStatus {
  const { snapshot, stale, proxies, liveSince } = input;
  const held = new Set(snapshot.held.map(({ key }) => formatKey(key)));
  const live = new Set(snapshot.resources.map(formatKey));
  const problems = Map.groupBy(snapshot.problems, ({ resource }) => formatKey(resource));
  const refusals = proxies.map((proxy) => ({
    proxy,
    version: versionNumber(proxy.version),
    keys: refusedKeys(snapshot, proxy),
  }));
  return (resource) => {
    const key = formatKey(resource);
    const since = liveSince.get(key) ?? 0;
    const refusedBy = refusals.filter(({ keys }) => keys.has(key)).map(({ proxy }) => proxyName(proxy));
    const running = refusals.filter(({ version, keys }) => version >= since && !keys.has(key));
    return {
      state: held.has(key) ? "pending" : stale.has(key) ? "stale" : "live",
      live: live.has(key),
      programmed: live.has(key) ? running.length : 0,
      proxies: proxies.length,
      refusedBy,
      problems: [
        ...(stale.get(key) ?? []),
        ...(problems.get(key) ?? []).map(({ resource: _, ...problem }: ResourceProblem) => problem),
      ],
    };
  };
}

/** The resources from which something was made that the proxy refused. */
function refusedKeys(snapshot: Snapshot, proxy: ProxyStatus): ReadonlySet<string> {
  const refused = [...proxy.types.values()].flatMap(({ refused: names }) => [...names.keys()]);
  if (refused.length === 0) return new Set();
  const resources = translate(snapshot, proxy.node);
  const sources = refused.flatMap((name): (Source | undefined)[] => [
    resources.clusters.get(name)?.source,
    resources.listeners.get(name)?.source,
    ...[...resources.virtualHosts]
      // A client without VHDS refuses the whole route configuration.
      .filter(([key]) => key === name || key.startsWith(`${name}/`))
      .flatMap(([, { routes }]) => routes.map(({ source }) => source)),
  ]);
  return new Set(
    sources.flatMap((source) => (source ? `${source.kind}/${source.namespace}/${source.name}` : [])),
  );
}
