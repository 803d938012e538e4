import { join } from "node:path";
import type { Clock } from "../common/base/clock.ts";
import { systemClock } from "../common/base/clock.ts";
import type { SocketAddress } from "../common/model/node.ts";
import { openAccessToken } from "./admin/access-token.ts";
import type { ControlPlaneApi } from "./admin/api.ts";
import type { ControlPlaneMetrics } from "./admin/metrics.ts";
import { createMetrics } from "./admin/metrics.ts";
import { createAdminServer } from "./admin/server.ts";
import { expiries } from "./ca/generation.ts";
import { MeshIdentity } from "./ca/mesh-identity.ts";
import type { ControlPlaneSettings } from "./config.ts";
import { Debounce } from "./live/debounce.ts";
import { LastGoodFolder } from "./live/last-good.ts";
import { LiveMesh } from "./live/live-mesh.ts";
import { createApi } from "./live/mesh-api.ts";
import { Publisher } from "./live/publisher.ts";
import type { Log } from "./log.ts";
import { createLog } from "./log.ts";
import { runUntilSignal } from "./run.ts";
import { LeaseLedger } from "./serve/lease-ledger.ts";
import { refusalLog } from "./serve/refusal-log.ts";
import { XdsServer } from "./serve/server.ts";
import { defaultMeshSettings } from "./snapshot/snapshot.ts";
import type { FilesSource } from "./sources/files.ts";
import { createFilesSource } from "./sources/files.ts";
import { ConfigChanges } from "./status/config-changes.ts";
import { KnownProxies } from "./status/known-proxies.ts";
import type { StateFolder } from "./store/state-folder.ts";
import { createStateFolder } from "./store/state-folder.ts";
import type { Store, StoreChange } from "./store/store.ts";
import { createStore } from "./store/store.ts";

/** A control plane at work. */
export interface ControlPlane {
  /** Where proxies connect; the real port when 0 was asked for. */
  readonly xds: SocketAddress;
  readonly http: SocketAddress;
  /** Where proxies that prove who they are connect; absent when the mesh has no identities. */
  readonly secureXds?: SocketAddress;
  readonly identity?: MeshIdentity;
  readonly log: Log;
  readonly api: ControlPlaneApi;
  /** Sends what waits and writes down what is live. */
  drain(): Promise<void>;
  /** Closes everything; proxies keep what they have. */
  stop(): Promise<void>;
}

export interface ControlPlaneInputs {
  readonly clock?: Clock;
  readonly log?: Log;
}

/** What was applied over HTTP lies over the folders of configuration. */
const stateSource = "state";

/**
 * The composition root: sources → store → debounce → snapshot → push queue → translation → proxies, and the HTTP API that
 * looks at all of them. Resolves when it is ready; rejects, with nothing left open, when a port is taken.
 */
export async function startControlPlane(
  settings: ControlPlaneSettings,
  {
    clock = systemClock,
    log = createLog({ level: settings.logLevel, format: settings.logFormat }),
  }: ControlPlaneInputs = {},
): Promise<ControlPlane> {
  const token =
    settings.httpTokenFile === undefined ? undefined : await openAccessToken(settings.httpTokenFile);
  const lastGood = new LastGoodFolder(settings.state);
  const remembered = await lastGood.load();
  if (remembered.problem !== undefined) log.warn(`the last good copy is not used: ${remembered.problem}`);

  const configs = [...new Set(settings.config)].filter((path) => path !== stateSource);
  const store = createStore([stateSource, ...configs]);
  const { folder, state, sources } = createSources(settings, configs, clock, store);
  const mesh = new LiveMesh({ store, log, settings: settings.mesh, remembered: remembered.resources });
  const changes = new ConfigChanges(log);
  const known = new KnownProxies({ folder: settings.state, clock });
  const metrics: ControlPlaneMetrics = createMetrics({
    proxies: () => countBy(xds.proxies(), ({ node }) => node.kind),
    resources: () => countBy(mesh.snapshot?.resources ?? [], ({ kind }) => kind),
    problems: () => countBy(api.problems(), ({ severity = "error" }) => severity),
  });
  const leases = new LeaseLedger(clock);
  const refused = refusalLog((text) => log.warn(text), clock);
  const xds: XdsServer = new XdsServer({
    leases,
    source: mesh,
    clock,
    version: "v0",
    events: {
      connected: ({ node, client }) => {
        known.connected(node);
        log.debug(`${node.name}.${node.namespace} connected`, { id: node.id, client });
      },
      disconnected: ({ node }) => {
        known.disconnected(node);
        log.debug(`${node.name}.${node.namespace} disconnected`, { id: node.id });
      },
      acked: (_peer, kind) => metrics.acked(kind),
      nacked: (_peer, kind) => metrics.nacked(kind),
      failed: ({ node }, err) =>
        log.error(`${node.name}.${node.namespace} gets nothing new, because of a fault of ours`, { err }),
      pushed: (outcome) => publisher.pushed(outcome),
      refused: (address, why) => refused(`refused a caller at ${address}: ${why}`),
    },
  });
  const publisher: Publisher = new Publisher({ mesh, xds, changes, metrics, lastGood, clock, log });
  const debounce = new Debounce(clock, settings, () =>
    publisher.publish(debounce.since ?? clock.monotonic()),
  );
  const api = createApi({ store, folder, mesh, xds, known, publisher, clock, flush: () => debounce.flush() });
  const admin = createAdminServer({
    api,
    metrics,
    clock,
    ...(token && { token }),
    refused: (address, why) => refused(`refused a request to the HTTP API from ${address}: ${why}`),
  });

  let identity: MeshIdentity | undefined;

  const stop = async (): Promise<void> => {
    debounce.stop();
    await Promise.all([state, ...sources].map((source) => source.stop()));
    publisher.stop();
    await admin.close();
    await xds.stop();
    await identity?.stop();
    await publisher.whenSaved();
    await known.stop();
  };
  try {
    await folder.prepare();
    await known.load();
    await state.start((changed) => store.apply({ ...changed, puts: folder.asApplied(changed.puts) }));
    for (const source of sources) await source.start((changed) => store.apply(changed));
    changes.tellOfSources(store.reports());
    store.subscribe((change) => {
      if (change.reportChanged) changes.tellOfSources(store.reports());
      debounce.call();
      if (isUrgent(change, mesh)) debounce.flush();
    });
    publisher.publish(clock.monotonic());
    identity = await openIdentity(settings, clock, log);
    const secureXds =
      identity && (await listenSecurely(settings, identity, { xds, metrics, clock, log, refused }));
    const addresses = {
      xds: await listen("--xds", settings.xds, (address) => xds.listen(address)),
      ...(secureXds && { secureXds }),
      http: await listen("--http", settings.http, (address) => admin.listen(address)),
    };
    publisher.ready();
    log.info(
      `ready: proxies connect to ${format(addresses.xds)}, the HTTP API is http://${format(addresses.http)}`,
      {
        config: settings.config,
        state: settings.state,
        resources: mesh.snapshot?.resources.length,
      },
    );
    const drain = async (): Promise<void> => {
      debounce.flush();
      await publisher.whenSaved();
    };
    return { ...addresses, ...(identity && { identity }), log, api, drain, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Runs a control plane until SIGTERM or SIGINT; answers with the process's exit code. */
export function runControlPlane(settings: ControlPlaneSettings): Promise<number> {
  return runUntilSignal(() => startControlPlane(settings));
}

async function openIdentity(
  { identity: settings, state, mesh = defaultMeshSettings }: ControlPlaneSettings,
  clock: Clock,
  log: Log,
): Promise<MeshIdentity | undefined> {
  if (settings === undefined) return undefined;
  return MeshIdentity.open({
    settings,
    folder: join(state, "ca"),
    namespace: mesh.rootNamespace,
    clock,
    say: (level, text) => log[level](`certificate authority: ${text}`),
  });
}

function listenSecurely(
  { secureXds }: ControlPlaneSettings,
  identity: MeshIdentity,
  parts: {
    readonly xds: XdsServer;
    readonly metrics: ControlPlaneMetrics;
    readonly clock: Clock;
    readonly log: Log;
    readonly refused: (text: string) => void;
  },
): Promise<SocketAddress> | undefined {
  const { xds, metrics, clock, log, refused } = parts;
  if (secureXds === undefined) return undefined;
  metrics.watchAuthority(() => identity.authority.generations.map(expiries));
  const own = identity.own((renewed) => xds.renewCertificate(renewed));
  return listen("--secure-xds", secureXds, (address) =>
    xds.listenSecurely(address, own, {
      authenticate: identity.authenticate,
      issue: identity.issue,
      clock,
      onIssued: ({ principal }) => {
        metrics.certified("issued");
        log.debug(`issued a certificate for ${principal}`);
      },
      onRefused: (who, why) => {
        metrics.certified("refused");
        refused(`no certificate for ${who}: ${why}`);
      },
    }),
  );
}

function createSources(
  settings: ControlPlaneSettings,
  configs: readonly string[],
  clock: Clock,
  store: Store,
): { folder: StateFolder; state: FilesSource; sources: readonly FilesSource[] } {
  const folder: StateFolder = createStateFolder({
    path: settings.state,
    refresh: () => state.refresh(),
    moved: (resources) => {
      const puts = folder.asApplied(resources.flatMap((resource) => store.get(resource) ?? []));
      const report = store.reports().get(stateSource)!;
      store.apply({ source: stateSource, puts, deletes: [], report });
    },
  });
  const state: FilesSource = createFilesSource({ name: stateSource, path: folder.resourcesPath, clock });
  return { folder, state, sources: configs.map((path) => createFilesSource({ name: path, path, clock })) };
}

/** Whether an endpoint may have left. Then nothing is waited for: every request until then is one that may fail. */
function isUrgent({ put, removed }: StoreChange, mesh: LiveMesh): boolean {
  const holdsEndpoints = ({ kind }: { readonly kind: string }) =>
    kind === "ServiceEntry" || kind === "WorkloadEntry";
  if (removed.some(holdsEndpoints)) return true;
  return put.some((resource) => holdsEndpoints(resource) && mesh.isLive(resource));
}

async function listen(
  flag: string,
  address: SocketAddress,
  open: (address: SocketAddress) => Promise<SocketAddress>,
): Promise<SocketAddress> {
  try {
    return await open(address);
  } catch (cause) {
    const { message } = cause as Error;
    const why = message.includes("EADDRINUSE") ? "another process has this port" : message;
    throw new Error(`cannot listen on ${format(address)} (${flag}): ${why}`, { cause });
  }
}

function format({ host, port }: SocketAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function countBy<T>(items: Iterable<T>, nameOf: (item: T) => string): ReadonlyMap<string, number> {
  return new Map([...Map.groupBy(items, nameOf)].map(([name, all]) => [name, all.length]));
}
