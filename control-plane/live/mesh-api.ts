import type { Clock } from "../../common/base/clock.ts";
import type { Problem } from "../../common/base/problem.ts";
import type { SettledView } from "../../common/model/mesh-status.ts";
import type { ControlPlaneApi, ReportedProblem } from "../admin/api.ts";
import { formatKey } from "../resources/resource.ts";
import type { ProxyStatus } from "../serve/proxy-status.ts";
import type { XdsServer } from "../serve/server.ts";
import type { KnownProxies } from "../status/known-proxies.ts";
import { proxyName, proxyView, round } from "../status/proxy-views.ts";
import { resourceStatuses, versionNumber } from "../status/resource-status.ts";
import type { StateFolder } from "../store/state-folder.ts";
import type { Store } from "../store/store.ts";
import { answerExplainQuestion } from "../translate/explain-question.ts";
import type { LiveMesh } from "./live-mesh.ts";
import type { Publisher } from "./publisher.ts";

export interface ApiParts {
  readonly store: Store;
  readonly folder: StateFolder;
  readonly mesh: LiveMesh;
  readonly xds: Pick<XdsServer, "proxies" | "whenAcked">;
  readonly known: Pick<KnownProxies, "missing">;
  readonly publisher: Publisher;
  readonly clock: Clock;
  /** Publishes what waits, at once. */
  readonly flush: () => void;
}

/** What the HTTP API sees of the control plane. */
export function createApi(parts: ApiParts): ControlPlaneApi {
  const { store, folder, mesh, xds, known, publisher, clock, flush } = parts;
  return {
    store,
    snapshot: () => mesh.snapshot!,
    version: () => publisher.version,
    preview: (puts) => mesh.preview(puts),
    write: (resources) => folder.write(resources),
    remove: (keys) => folder.remove(keys),
    settled: (ms) => {
      flush();
      return settle(publisher.version, ms, { xds, known, clock });
    },
    statuses: () =>
      resourceStatuses({
        snapshot: mesh.snapshot!,
        stale: staleReasons(store, mesh),
        proxies: xds.proxies(),
        liveSince: publisher.liveSince,
      }),
    proxies: (wanted) => xds.proxies().map((proxy) => proxyView(proxy, publisher.version, wanted)),
    problems: () => allProblems(store, mesh),
    explain: (question) => answerExplainQuestion(mesh.snapshot!, question),
    readiness: () => [
      { name: "reading the sources", isDone: mesh.snapshot !== undefined },
      { name: "listening", isDone: publisher.isReady },
    ],
  };
}

type Followed = Pick<XdsServer, "proxies" | "whenAcked">;

interface SettleParts {
  readonly xds: Followed;
  readonly known: Pick<KnownProxies, "missing">;
  readonly clock: Clock;
}

/** ms between looks at those that come back after a restart. */
const lookMs = 20;

/** Waits for all that are connected, and for those that were before a restart and may still come back. */
async function settle(version: string, ms: number, { xds, known, clock }: SettleParts): Promise<SettledView> {
  const startedAt = clock.monotonic();
  const until = startedAt + ms;
  const isBehind = (proxy: ProxyStatus) =>
    proxy.types.size > 0 && versionNumber(proxy.version) < versionNumber(version);
  await within(ms, clock, xds.whenAcked(version));
  while (clock.monotonic() < until && (known.missing.length > 0 || xds.proxies().some(isBehind))) {
    await new Promise<void>((resolve) => clock.after(lookMs, resolve));
  }
  const proxies = xds.proxies();
  const refused = proxies
    .filter((proxy) => !isBehind(proxy))
    .flatMap((proxy) =>
      [...proxy.types.values()]
        .filter((type) => type.refused.size > 0)
        .map(({ refused: names, lastNack }) => ({
          proxy: proxyName(proxy),
          names: [...names.keys()],
          why: lastNack?.why ?? "",
        })),
    );
  const refusing = new Set(refused.map(({ proxy }) => proxy));
  const waiting = proxies.filter(isBehind);
  const absent = known.missing.map((name) => `${name} (not back since the control plane's restart)`);
  const waitingFor = [...waiting.map(proxyName), ...absent];
  return {
    version,
    complete: waitingFor.length === 0,
    accepted: proxies.filter(
      (proxy) => proxy.types.size > 0 && !isBehind(proxy) && !refusing.has(proxyName(proxy)),
    ).length,
    refused,
    waitingFor,
    ms: round(clock.monotonic() - startedAt),
  };
}

async function within(ms: number, clock: Clock, event: Promise<unknown>): Promise<void> {
  const late = Promise.withResolvers<undefined>();
  const cancel = clock.after(ms, () => late.resolve(undefined));
  await Promise.race([event, late.promise]);
  cancel();
}

/** Why resources run in their last good version: the problems of their files. Whoever has another source is not concerned. */
function staleReasons(store: Store, mesh: LiveMesh): ReadonlyMap<string, readonly Problem[]> {
  const reasons = new Map<string, readonly Problem[]>(mesh.inherited.map((key) => [formatKey(key), []]));
  for (const [source, { problems, stale }] of store.reports()) {
    for (const key of stale) {
      if (store.sourceOf(key) !== source) continue;
      const file = store.get(key)?.source.file;
      reasons.set(
        formatKey(key),
        problems.filter(({ at }) => at !== undefined && at.file === file),
      );
    }
  }
  return reasons;
}

function allProblems(store: Store, mesh: LiveMesh): ReportedProblem[] {
  const reported: ReportedProblem[] = [];
  for (const [source, { problems, stale }] of store.reports()) {
    for (const problem of problems) reported.push({ ...problem, reportedBy: source });
    for (const key of stale) reported.push(inLastGoodVersion(formatKey(key), source));
  }
  for (const key of mesh.inherited) reported.push(inLastGoodVersion(formatKey(key), "last run"));
  for (const { resource, ...problem } of mesh.snapshot?.problems ?? []) {
    reported.push({ ...problem, resource: formatKey(resource), reportedBy: "snapshot" });
  }
  return reported;
}

function inLastGoodVersion(resource: string, reportedBy: string): ReportedProblem {
  const why = "its newest version can't be read, so its last good one stays live";
  return { path: "", why, severity: "warning", resource, reportedBy };
}
