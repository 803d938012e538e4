import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { Clock } from "../common/base/clock.ts";
import { systemClock } from "../common/base/clock.ts";
import type { Problem } from "../common/base/problem.ts";
import { formatProblem } from "../common/base/problem.ts";
import { systemRandom } from "../common/base/random.ts";
import type { Workload } from "../common/model/endpoint.ts";
import type { SocketAddress } from "../common/model/node.ts";
import type { Route } from "../common/model/route.ts";
import { AdminServer } from "./admin/admin-server.ts";
import { certificatesView } from "./admin/certificates.ts";
import { Readiness } from "./admin/readiness.ts";
import type { Capture } from "./capture.ts";
import { ClusterManager } from "./cluster/cluster-manager.ts";
import type { EndpointHealthChange } from "./cluster/cluster-parts.ts";
import { openHttp } from "./cluster/open-http.ts";
import type { TcpParts } from "./cluster/open-tcp.ts";
import { openTcp } from "./cluster/open-tcp.ts";
import { systemResolver } from "./cluster/resolver.ts";
import type { TcpFaultParts } from "./cluster/tcp-faults.ts";
import { injectTcpFaults } from "./cluster/tcp-faults.ts";
import type { ProxySettings } from "./config.ts";
import { ConfigSink } from "./config-sink.ts";
import type { AccessParts } from "./filters/access.ts";
import { AccessCounts } from "./filters/access-counts.ts";
import { ActiveFaults } from "./filters/active-faults.ts";
import { GrpcChannels } from "./filters/ask-grpc.ts";
import { CircuitSet } from "./filters/circuit-set.ts";
import { fetchJwks } from "./filters/fetch-jwks.ts";
import type { FilterContext } from "./filters/filter.ts";
import { judgeConnections } from "./filters/judge-connection.ts";
import { JwksSet } from "./filters/jwks.ts";
import { LimiterSet } from "./filters/limiter-set.ts";
import { NestedRetries } from "./filters/nested-retries.ts";
import { RetryBudgets } from "./filters/retry-budget.ts";
import { buildRouteService } from "./filters/route-service.ts";
import { noteProgress } from "./first-config.ts";
import type { Service } from "./http/layer.ts";
import { acceptInbound } from "./inbound/accept.ts";
import { idleGraceMs, ListenerSet } from "./listeners/listener-set.ts";
import { isOwnAddress } from "./listeners/own-address.ts";
import { connect } from "./net/connect.ts";
import { TlsClient } from "./net/tls-client.ts";
import { acceptOutbound } from "./outbound/accept.ts";
import { OnDemand } from "./outbound/on-demand.ts";
import { RouteTables } from "./outbound/routes.ts";
import { createOwnIdentity } from "./own-identity.ts";
import { applyRestored, toUpdates } from "./restore.ts";
import { runUntilSignal } from "./run.ts";
import { LastGood } from "./state/last-good.ts";
import type { ProxyConfig } from "./state/proxy-config.ts";
import { circuitsNamedBy, hostsAskedFor, rateLimitsNamedBy } from "./state/proxy-config.ts";
import { ResourceState } from "./state/resource-state.ts";
import { accessMetrics } from "./telemetry/access-metrics.ts";
import { captureMetrics, detectionMetrics } from "./telemetry/capture-metrics.ts";
import { circuitMetrics } from "./telemetry/circuit-metrics.ts";
import { faultMetrics } from "./telemetry/fault-metrics.ts";
import { healthCheckMetrics } from "./telemetry/health-check-metrics.ts";
import { identityMetrics } from "./telemetry/identity-metrics.ts";
import { limiterMetrics } from "./telemetry/limiter-metrics.ts";
import type { Log } from "./telemetry/log.ts";
import { createLog } from "./telemetry/log.ts";
import { onDemandMetrics } from "./telemetry/on-demand-metrics.ts";
import { OutageLog } from "./telemetry/outage-log.ts";
import { createTelemetry } from "./telemetry-set.ts";
import { openGrpcCallWith } from "./xds/ads-call.ts";
import { LeaseClient } from "./xds/lease-client.ts";
import type { ResourceSink, ResourceType, ResourceUpdate } from "./xds/resource-update.ts";
import type { XdsClientEvents } from "./xds/stream.ts";
import { XdsClient } from "./xds/stream.ts";

/** A proxy that runs. */
export interface ProxyApp {
  readonly log: Log;
  readonly readiness: Readiness;
  /** Where the admin interface listens; undefined without one. */
  readonly admin: SocketAddress | undefined;
  /** Takes resources as a control plane would send them; for tests and for proxies without a control plane. */
  readonly sink: ResourceSink;
  readonly clusters: ClusterManager;
  /** What it believes now. */
  config(): ProxyConfig;
  /** The port that a listener opened; undefined when there is no such listener. */
  port(listener: string): number | undefined;
  /** Settles when every task of `readiness` is done. */
  whenReady(): Promise<void>;
  /** Accepts no more and finishes what is under way, within the time limit of the settings. May be called again. */
  drain(): Promise<void>;
  /** Ends everything now; after it nothing of the proxy keeps the process alive. */
  stop(): Promise<void>;
}

export interface ProxyEvents {
  /** Somebody asked for the end of the process on the admin interface. */
  readonly onQuit?: () => void;
}

/** Puts a proxy together and starts it. Rejects when the admin port can't be opened. The one place where its long-lived parts are made. */
export async function startProxy(settings: ProxySettings, events: ProxyEvents = {}): Promise<ProxyApp> {
  const { node } = settings;
  const clock = systemClock;
  const random = systemRandom;
  const log = createLog(settings.logLevel, undefined, settings.logFormat).child({ proxy: node.name });
  const self: Workload = {
    name: node.name,
    namespace: node.namespace,
    serviceAccount: node.serviceAccount,
    labels: node.labels,
  };
  const capture: Capture | undefined = node.bindings.captures
    ? await (await import("./capture.ts")).loadCapture(clock, random)
    : undefined;
  const detectionTimeouts = new Map<string, number>();
  const own = createOwnIdentity({ settings, log, clock, random });
  const readiness = new Readiness(["first config", "listeners", ...(own ? ["certificate"] : [])]);
  let rejections = 0;
  let xds: XdsClient | undefined;

  // --- upstream side ---
  const tlsClient = new TlsClient(clock, own?.keeper);
  const resolver = systemResolver();
  const isOwnListener = (address: string, port: number): boolean =>
    listeners.isListeningOn(port) && isOwnAddress(address);
  const clusters: ClusterManager = new ClusterManager({
    connect: openHttp(tlsClient, clock),
    openSocket: ({ host, port }, timeoutMs, tls, protocols) => {
      const target = { host, port, timeoutMs };
      if (tls === undefined) return connect(target, clock);
      return tlsClient.connect(target, tls.settings, tls.serverName, protocols);
    },
    onHealthChange: logHealth(log),
    resolver,
    pool: settings.pool,
    clock,
    random,
    isOwnListener,
  });

  // --- what is seen of it ---
  const telemetry = createTelemetry({
    settings,
    self,
    clock,
    hostname: hostname(),
    serviceOf: (cluster) => clusters.get(cluster)?.config?.service,
    spiffeId: () => own?.spiffeId(),
    gauges: {
      activeConnections: () => listeners.connections,
      isXdsConnected: () => xds?.isConnected ?? false,
      configVersions: () =>
        Object.fromEntries(
          Array.from(xds?.systemVersions ?? [], ([type, version]) => [type.replace("-", "_"), version]),
        ),
      configRejections: () => rejections,
      outliers: () =>
        Array.from(clusters, ({ name, outlier }) =>
          outlier === undefined
            ? []
            : [{ cluster: name, ejected: outlier.ejected, ejections: outlier.ejections }],
        ).flat(),
    },
  });

  // --- routes and listeners ---
  const circuits = new CircuitSet(clock);
  const faults = new ActiveFaults();
  const access: AccessParts = {
    counts: new AccessCounts(),
    clock,
    channels: new GrpcChannels(),
    upstream: (cluster) => clusters.upstream(cluster),
    endpointOf: (cluster) => clusters.get(cluster)?.pick(undefined)?.host.address,
    jwks: new JwksSet({
      clock,
      fetch: fetchJwks,
      onProblem: (uri, why) => log.warn("keys for tokens cannot be fetched", { uri, why }),
    }),
  };
  const limiters: LimiterSet = new LimiterSet(clock, () => leases.askSoon());
  const leases = new LeaseClient({ proxy: node.id, limits: () => limiters.shared, clock });
  const nestedRetries = new NestedRetries();
  const retryBudgets = new RetryBudgets(clock, (cluster) => clusters.get(cluster)?.config);
  const context: FilterContext = {
    retryBudget: (cluster) => retryBudgets.of(cluster),
    nested: { direction: "outbound", retries: nestedRetries },
    clock,
    random,
    circuits,
    faults,
    limiters,
    upstream: (cluster) => clusters.upstream(cluster),
    events: telemetry.filterEvents,
  };
  const inboundContext: FilterContext = {
    ...context,
    nested: { direction: "inbound", retries: nestedRetries },
  };
  const build = (route: Route): Service => buildRouteService(route, context);
  const buildInbound = (route: Route): Service => buildRouteService(route, inboundContext);
  const demand = settings.onDemand && new OnDemand({ ...settings.onDemand, clock, source: () => xds });
  const tables = new RouteTables(build, clock, demand && ((name, routes) => demand.hostsOf(name, routes)));
  const tcpFaultParts: TcpFaultParts = { clusters, clock, random, injected: (kind) => faults.count(kind) };
  const tcpParts: TcpParts = {
    clusters,
    random,
    resolver,
    isOwnListener,
    connect: ({ host, port, from }, timeoutMs, keepalive, tls) => {
      const target = { host, port, from, timeoutMs, keepalive };
      if (tls === undefined) return connect(target, clock);
      return tlsClient.connect(target, tls.settings, tls.serverName, []);
    },
  };
  const listeners: ListenerSet = new ListenerSet({
    settings: settings.http,
    clock,
    drainMs: settings.listenerDrainMs,
    onRejected: telemetry.observeRejected,
    certificateRefreshMs: settings.certificateRefreshMs,
    secretsDirectory: settings.secretsDirectory,
    onCertificateProblem: (listener, why) =>
      log.warn("certificates cannot be read; the last good ones stay, if there are any", { listener, why }),
    mesh: own?.mesh,
    tcp: telemetry.tcp,
    originalDestination: capture?.originalDestination ?? (() => undefined),
    openDns: capture?.openDns,
    onDetectionTimeout: (listener) =>
      void detectionTimeouts.set(listener, (detectionTimeouts.get(listener) ?? 0) + 1),
    judgeFor: (chain) => judgeConnections(chain.http ? undefined : chain.access, access),
    openTcp: async (proxy, connection) =>
      injectTcpFaults(await openTcp(proxy, connection, tcpParts), connection, tcpFaultParts),
    serviceFor: (listener, chain) =>
      listener.direction === "inbound"
        ? acceptInbound(chain, {
            observe: telemetry.inbound,
            access,
            readAttempt: nestedRetries.readAttempt,
            build: buildInbound,
          })
        : acceptOutbound(listener, chain, {
            observe: telemetry.outbound,
            access,
            self,
            newRequestId: randomUUID,
            tables,
          }),
  });

  // --- config ---
  const report = (message: string, problems: readonly Problem[]) => {
    if (problems.length > 0) log.warn(message, { problems: problems.map(formatProblem) });
  };
  const state = new ResourceState();
  const lastGood =
    settings.stateDirectory === undefined
      ? undefined
      : new LastGood({
          directory: settings.stateDirectory,
          node: node.id,
          clock,
          onProblem: (problem) => report("the last good config was not saved", [problem]),
        });
  const sink = new ConfigSink({
    state,
    clusters,
    tables,
    listeners,
    onApplied: (update, refused) => {
      rejections += refused.length;
      for (const { name, problems } of refused) report(`refused ${update.type} ${name}`, problems);
      lastGood?.save(state.current.received);
      noteProgress(readiness, state.current, false);
    },
  });
  circuitMetrics(telemetry.registry, circuits);
  if (own !== undefined) identityMetrics(telemetry.registry, own.view(tlsClient), () => clock.now());
  detectionMetrics(telemetry.registry, detectionTimeouts);
  if (capture !== undefined) captureMetrics(telemetry.registry, capture);
  healthCheckMetrics(telemetry.registry, clusters);
  accessMetrics(telemetry.registry, access.counts);
  limiterMetrics(telemetry.registry, limiters);
  if (demand !== undefined) onDemandMetrics(telemetry.registry, () => demand.counts);
  faultMetrics(telemetry.registry, faults);
  const cancelTidying = clock.every(tidyEveryMs, () => {
    sink.tidy();
    const named = circuitsNamedBy(state.current);
    circuits.forgetUnless((policy, cluster) => named.has(`${policy} ${cluster}`));
    const limits = rateLimitsNamedBy(state.current);
    limiters.forgetUnless((rule) => limits.has(rule));
  });

  const cancelSweeping =
    demand && clock.every(Math.min(tidyEveryMs, demand.idleMs / 4), () => demand.sweep());

  let drained: Promise<void> | undefined;
  const drain = (): Promise<void> => {
    drained ??= (async () => {
      readiness.reopen("not draining");
      const limitMs = settings.terminationDrainMs;
      log.info("draining", { limitMs, activeRequests: telemetry.active.count });
      await listeners.drain(Math.min(idleGraceMs, limitMs / 2), limitMs);
    })();
    return drained;
  };

  const admin = new AdminServer({
    node,
    readiness,
    config: () => state.current,
    clusters: () => clusters,
    circuits: () => circuits,
    limits: () => limiters,
    certificates: () => certificatesView(own?.keeper.current, clock.now()),
    metrics: telemetry.registry,
    log,
    drain: () => void drain(),
    quit: () => events.onQuit?.(),
  });

  // --- start ---
  const adminAddress = settings.admin === undefined ? undefined : await admin.start(settings.admin);
  own?.keeper.subscribe(() => readiness.done("certificate"));
  await own?.keeper.start();
  let known: readonly ResourceUpdate[] = [];
  if (lastGood !== undefined) {
    const { resources, problems } = await lastGood.load();
    const restored = toUpdates(resources);
    report("the last good config was not read completely", [...problems, ...restored.problems]);
    known = await applyRestored(sink, restored.updates);
    if (resources.length > 0) log.info("serving from the last good config", { resources: resources.length });
  }
  if (settings.controlPlane !== undefined) {
    xds = new XdsClient({
      servers: [settings.controlPlane],
      node,
      version: settings.version,
      sink,
      leases,
      clock,
      random,
      known,
      ...(own && { open: openGrpcCallWith(own.openChannel) }),
      events: xdsEvents(log, clock, demand, (type) => {
        if (type === "virtual-host") noteProgress(readiness, state.current, true);
      }),
    });
    demand?.restore(hostsAskedFor(state.current));
    xds.start();
  }

  return {
    log,
    readiness,
    admin: adminAddress,
    sink,
    clusters,
    config: () => state.current,
    port: (name) => listeners.get(name)?.port,
    whenReady: () => new Promise((resolve) => readiness.whenReady(resolve)),
    drain,
    stop: async () => {
      cancelTidying();
      cancelSweeping?.();
      await xds?.stop();
      await own?.keeper.stop();
      listeners.stop();
      clusters.stop();
      circuits.stop();
      access.channels.stop();
      await lastGood?.flush();
      if (adminAddress !== undefined) await admin.stop();
      await telemetry.stop();
    },
  };
}

function xdsEvents(
  log: Log,
  clock: Clock,
  demand: OnDemand | undefined,
  onAnswered: (type: ResourceType) => void,
): XdsClientEvents {
  const outage = new OutageLog(log, clock);
  const where = ({ host, port }: SocketAddress) => `${host}:${port}`;
  return {
    connected: (server) => {
      demand?.connected();
      outage.connected(where(server));
    },
    disconnected: (server, reason, retryMs) => {
      demand?.disconnected();
      outage.disconnected(where(server), reason, retryMs);
    },
    hosts: (change) => demand?.changed(change),
    acked: (type, version) => {
      log.debug("accepted config", { type, version });
      onAnswered(type);
    },
    nacked: (type, version) => {
      log.debug("refused config", { type, version });
      onAnswered(type);
    },
  };
}

function logHealth(log: Log): (change: EndpointHealthChange) => void {
  return ({ isWell, why, ...endpoint }) => {
    if (isWell) log.info("an endpoint passes its health checks", { ...endpoint });
    else log.warn("an endpoint fails its health checks and gets no requests", { ...endpoint, why });
  };
}

const tidyEveryMs = 60_000;

/** Runs a proxy as this process until it is told to end; answers with the exit code. */
export function runProxy(settings: ProxySettings): Promise<number> {
  return runUntilSignal((events) => startProxy(settings, events));
}
