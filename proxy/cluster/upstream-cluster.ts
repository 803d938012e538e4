import { isDeepStrictEqual } from "node:util";
import type { CancelTimer } from "../../common/base/clock.ts";
import type { Hash64 } from "../../common/base/xxhash64.ts";
import type { Cluster, ClusterDiscovery, LoadBalancer } from "../../common/model/cluster.ts";
import type { ConnectionPool } from "../../common/model/connection-pool.ts";
import type { Endpoint } from "../../common/model/endpoint.ts";
import type { HealthCheck } from "../../common/model/health-check.ts";
import type { OutlierDetection } from "../../common/model/outlier-detection.ts";
import type { UpstreamHost } from "../http/exchange.ts";
import type { Pick } from "./balancers/balancer.ts";
import { balance } from "./balancers/index.ts";
import { LatencyAverage } from "./balancers/latency-average.ts";
import { isWarming } from "./balancers/warm-up.ts";
import type { ClusterParts } from "./cluster-parts.ts";
import type { UpstreamTls } from "./connect.ts";
import { DnsEndpoints } from "./dns-endpoints.ts";
import { EndpointState, endpointKey } from "./endpoint-state.ts";
import { HealthChecker } from "./health/health-checker.ts";
import { OutlierDetector } from "./health/outlier.ts";
import type { Prober } from "./health/probe.ts";
import { createProber } from "./health/probe.ts";
import { ClusterLoad } from "./load.ts";
import { OriginalDestination } from "./original-destination.ts";
import { createPool } from "./request-pool.ts";

/**
 * One upstream at run time. The object stays as long as a route or a resource names it, so routes hold it instead of looking its
 * name up; its config and endpoints come and go. Endpoints that stay in an update keep their pools and counts.
 */
export class UpstreamCluster {
  readonly name: string;
  /** What its endpoints have under way together. */
  readonly load = new ClusterLoad();
  readonly #parts: ClusterParts;
  readonly #endpoints = new Map<string, EndpointState>();
  #config: Cluster | undefined = undefined;
  #pick: Pick<EndpointState> = none;
  #cancelWarmUp: CancelTimer | undefined = undefined;
  #outlier: OutlierDetector | undefined = undefined;
  #checker: HealthChecker<EndpointState> | undefined = undefined;
  #dns: DnsEndpoints | undefined = undefined;
  #originalDestination: OriginalDestination | undefined = undefined;
  #isWarm = false;
  #whenWarm: (() => void)[] = [];

  constructor(name: string, parts: ClusterParts) {
    this.name = name;
    this.#parts = parts;
  }

  /** Undefined while nobody has defined it, or after it was removed. */
  get config(): Cluster | undefined {
    return this.#config;
  }

  /** All endpoints, also those that take no traffic now. */
  get endpoints(): Iterable<EndpointState> {
    return this.#originalDestination?.endpoints ?? this.#endpoints.values();
  }

  /** Present on original-dst clusters, whose requests name their address. */
  get originalDestination(): OriginalDestination | undefined {
    return this.#originalDestination;
  }

  /** Undefined while the cluster has no outlier detection. */
  get outlier(): OutlierDetector | undefined {
    return this.#outlier;
  }

  /** Undefined while the cluster has no health check. */
  get checker(): HealthChecker<EndpointState> | undefined {
    return this.#checker;
  }

  /** False while the first endpoints are still on their way; an empty set of endpoints is warm. */
  get isWarm(): boolean {
    return this.#isWarm;
  }

  /** Chooses where the next attempt goes; undefined when no endpoint may take it. `hash`, `tries`: see `balancers/balancer.ts`. */
  pick(hash?: Hash64, tries?: number): EndpointState | undefined {
    return this.#pick(hash, tries);
  }

  /**
   * Where a retry goes that is to leave the priorities of the attempts before: the next one that may take traffic, its least busy endpoint.
   * Two attempts have the usual choice (Envoy's previous_priorities with Istio's update_frequency 2); undefined: so has this one.
   */
  pickOtherPriority(previous: readonly UpstreamHost[]): EndpointState | undefined {
    const judged = previous.slice(0, previous.length - (previous.length % 2));
    if (judged.length === 0) return undefined;
    const tried = new Set<number>();
    for (const { host, priority } of this.endpoints) if (judged.includes(host)) tried.add(priority);
    let best: EndpointState | undefined;
    for (const endpoint of this.endpoints) {
      if (!endpoint.isEligible || tried.has(endpoint.priority)) continue;
      const isBetter =
        best === undefined ||
        endpoint.priority < best.priority ||
        (endpoint.priority === best.priority && endpoint.active < best.active);
      if (isBetter) best = endpoint;
    }
    return best;
  }

  /** Monotonic ms. */
  now(): number {
    return this.#parts.clock.monotonic();
  }

  /** Calls back once the first endpoints are there, at the latest after the cluster's connect time-out. */
  whenWarm(run: () => void): void {
    this.#whenWarm.push(run);
    if (this.#whenWarm.length > 1) return;
    this.#parts.clock.after(this.#config?.connectTimeoutMs ?? 0, () => this.#warmed());
  }

  /** Takes new config. Endpoints stay until `setEndpoints` (or the name server) says otherwise. */
  configure(config: Cluster): void {
    const before = this.#config;
    if (before === config) return;
    this.#config = config;
    this.load.limits = config.connectionPool ?? noLimits;
    this.#detectOutliers(config.outlierDetection);
    if (!isDeepStrictEqual(before?.healthCheck, config.healthCheck)) this.#checkHealth(config.healthCheck);
    const { discovery } = config;
    if (before !== undefined && before.discovery.kind !== discovery.kind) this.#forgetDiscovery();
    else if (
      !isDeepStrictEqual(before?.tls, config.tls) ||
      !isDeepStrictEqual(before?.mutualTls, config.mutualTls) ||
      before?.protocol !== config.protocol
    )
      this.#reconnect();
    if (discovery.kind === "static") this.setEndpoints(discovery.endpoints);
    else if (discovery.kind === "dns") this.#follow(discovery, before);
    else if (discovery.kind === "original-dst") {
      this.#originalDestination ??= new OriginalDestination(
        this.#parts,
        () => this.#connectTimeoutMs(),
        this.load,
        config,
        servicePort(this.name),
      );
      this.#isWarm = true;
    } else if (this.#isWarm) this.#rebalance();
  }

  /** Replaces the endpoints; those that went drain: their requests under way finish. */
  setEndpoints(endpoints: readonly Endpoint[]): void {
    const gone = new Map(this.#endpoints);
    for (const endpoint of endpoints) {
      const key = endpointKey(endpoint);
      const state = this.#endpoints.get(key);
      if (state === undefined) this.#endpoints.set(key, this.#createState(endpoint));
      else if (state.endpoint.tlsMode !== endpoint.tlsMode) {
        state.pool.drain();
        this.#endpoints.set(key, this.#createState(endpoint));
      } else state.update(endpoint);
      gone.delete(key);
    }
    for (const [key, state] of gone) {
      this.#endpoints.delete(key);
      state.pool.drain();
    }
    this.#checker?.watch(this.#toCheck());
    this.#rebalance();
    this.#warmed();
  }

  /** The cluster is gone: what is under way finishes, what comes finds no cluster. */
  remove(): void {
    this.#config = undefined;
    this.#detectOutliers(undefined);
    this.#checkHealth(undefined);
    this.#forgetDiscovery();
  }

  /** Ends every connection now. */
  stop(): void {
    const endpoints = [...this.endpoints];
    this.remove();
    for (const { pool } of endpoints) pool.stop();
  }

  #detectOutliers(policy: OutlierDetection | undefined): void {
    if (policy === undefined) {
      this.#outlier?.stop();
      this.#outlier = undefined;
    } else if (this.#outlier === undefined) {
      this.#outlier = new OutlierDetector(policy, {
        clock: this.#parts.clock,
        records: () => Array.from(this.#endpoints.values(), ({ outlier }) => outlier),
        onChange: () => this.#rebalance(),
      });
    } else this.#outlier.policy = policy;
  }

  #checkHealth(check: HealthCheck | undefined): void {
    // What the old checks found out stays until the new ones know better.
    this.#checker?.stop(check === undefined);
    if (check === undefined) {
      this.#checker = undefined;
      return;
    }
    this.#checker = new HealthChecker(check, {
      clock: this.#parts.clock,
      random: this.#parts.random,
      prober: (endpoint) => this.#createProber(endpoint, check),
      wasCalled: () => [...this.#endpoints.values()].some(({ requests }) => requests > 0),
      onSuccess: ({ outlier }) => {
        if (check.endsEjection && outlier.isEjected) this.#outlier?.forgive(outlier);
      },
      onChange: ({ endpoint, isWell, why }) => {
        this.#parts.onHealthChange?.({ cluster: this.name, endpoint: endpoint.key, isWell, why });
        this.#rebalance();
      },
    });
    this.#checker.watch(this.#toCheck());
  }

  /** Endpoints that leave get nothing, whatever a check would say. */
  #toCheck(): readonly EndpointState[] {
    return [...this.#endpoints.values()].filter(({ isLeaving }) => !isLeaving);
  }

  #createProber({ endpoint }: EndpointState, check: HealthCheck): Prober {
    const { connect, openSocket, clock } = this.#parts;
    const address = () => ({ host: this.#dial(endpoint.address), port: endpoint.port });
    const tls = this.#tlsTo(endpoint);
    const { hostname = "*" } = this.#config?.service ?? {};
    const http2 = check.probe.kind === "http" && check.probe.speaksHttp2 ? {} : undefined;
    return createProber(check.probe, {
      connect: () => connect(address(), check.timeoutMs, undefined, tls, http2),
      open: (protocols) => openSocket(address(), check.timeoutMs, tls, protocols),
      scheme: tls === undefined ? "http" : "https",
      host: hostname.startsWith("*") ? endpointKey(endpoint) : hostname,
      reusesConnection: check.reusesConnection,
      clock,
    });
  }

  #follow(discovery: DnsDiscovery, before: Cluster | undefined): void {
    const { endpoints: hosts } = discovery;
    const isLogical = discovery.isLogical === true;
    const old = before?.discovery;
    if (old?.kind === "dns" && sameHosts(old.endpoints, hosts) && old.isLogical === discovery.isLogical) {
      if (this.#isWarm) this.#rebalance();
      return;
    }
    this.#dns?.stop();
    this.#dns = new DnsEndpoints(hosts, {
      ...this.#parts,
      isLogical,
      onChange: (endpoints) => this.setEndpoints(endpoints),
    });
    this.#dns.start();
  }

  #forgetDiscovery(): void {
    this.#dns?.stop();
    this.#dns = undefined;
    this.#originalDestination?.drain();
    this.#originalDestination = undefined;
    for (const { pool } of this.#endpoints.values()) pool.drain();
    this.#endpoints.clear();
    this.#checker?.watch([]);
    this.#cancelWarmUp?.();
    this.#cancelWarmUp = undefined;
    this.#pick = none;
    this.#isWarm = false;
    this.#releaseWaiting();
  }

  #rebalance(): void {
    const { clock, random } = this.#parts;
    const policy = this.#config?.loadBalancer ?? defaultLoadBalancer;
    const endpoints = [...this.#endpoints.values()];
    const now = clock.monotonic();
    for (const endpoint of endpoints) {
      if (!endpoint.isEligible) endpoint.eligibleSince = Number.POSITIVE_INFINITY;
      else if (endpoint.eligibleSince === Number.POSITIVE_INFINITY) endpoint.eligibleSince = now;
      endpoint.latency = policy.kind === "peak-ewma" ? (endpoint.latency ?? new LatencyAverage()) : undefined;
    }
    // Both may say below which share of healthy endpoints what they found counts for nothing.
    const { healthCheck, outlierDetection } = this.#config ?? {};
    const panicPercent = healthCheck?.minHealthPercent ?? outlierDetection?.minHealthPercent ?? 0;
    this.#pick = balance(endpoints, { policy, panicPercent, random, clock });
    this.#cancelWarmUp?.();
    this.#cancelWarmUp = undefined;
    const { warmup } = policy;
    if (warmup === undefined || !endpoints.some((endpoint) => isWarming(endpoint, warmup, now))) return;
    const stepMs = Math.max(shortestWarmUpStepMs, warmup.durationMs / warmUpSteps);
    this.#cancelWarmUp = clock.after(stepMs, () => this.#rebalance());
  }

  #warmed(): void {
    this.#isWarm = this.#config !== undefined;
    this.#releaseWaiting();
  }

  /** Connections that were made with other TLS settings take no further request. */
  #reconnect(): void {
    this.#originalDestination?.drain();
    this.#originalDestination = undefined;
    for (const [key, state] of this.#endpoints) {
      state.pool.drain();
      this.#endpoints.set(key, this.#createState(state.endpoint));
    }
    this.#checker?.watch(this.#toCheck());
    if (this.#isWarm) this.#rebalance();
  }

  #releaseWaiting(): void {
    for (const run of this.#whenWarm.splice(0)) run();
  }

  #createState(endpoint: Endpoint): EndpointState {
    const { connect, pool, clock } = this.#parts;
    const { address, port } = endpoint;
    const tls = this.#tlsTo(endpoint);
    const { protocol: spoken = tls?.settings.identity ? "shared" : "http1" } = this.#config ?? {};
    const pooled = createPool(spoken, {
      connect: (protocol) => {
        const { tcpKeepalive, http2Keepalive } = this.load.limits;
        const isShared = protocol === "shared";
        const http2 = protocol === "http1" ? undefined : { keepalive: http2Keepalive, isShared };
        return connect(
          { host: this.#dial(address), port },
          this.#connectTimeoutMs(),
          tcpKeepalive,
          tls,
          http2,
        );
      },
      load: this.load,
      settings: pool,
      clock,
    });
    return new EndpointState(endpoint, pooled, tls?.settings.identity && tls.settings.subjectAltNames);
  }

  /** Where an endpoint's next connection goes: its address, and where that is a logical name, what it stands for now. */
  #dial(address: string): string {
    return this.#dns?.addressOf(address) ?? address;
  }

  #tlsTo({ address, tlsMode }: Endpoint): UpstreamTls | undefined {
    const { tls, mutualTls, service } = this.#config ?? {};
    const settings = tls ?? (tlsMode === "istio" ? mutualTls : undefined);
    return settings && { settings, serverName: service?.hostname ?? address };
  }

  #connectTimeoutMs(): number {
    return this.#config?.connectTimeoutMs ?? defaultConnectTimeoutMs;
  }
}

/** The port of `outbound|443||*.example.com`; undefined for clusters of no service. */
export function servicePort(name: string): number | undefined {
  const port = /^outbound\|(\d+)\|/.exec(name)?.[1];
  return port === undefined ? undefined : Number(port);
}

type DnsDiscovery = Extract<ClusterDiscovery, { readonly kind: "dns" }>;

function sameHosts(some: readonly Endpoint[], others: readonly Endpoint[]): boolean {
  return some === others || JSON.stringify(some) === JSON.stringify(others);
}

const none = () => undefined;

const noLimits: ConnectionPool = {};

/** Istio's; for a cluster whose config went while endpoints are still set. */
const defaultLoadBalancer: LoadBalancer = { kind: "least-request" };

/** Weights of warming endpoints grow in so many steps; nothing of it is computed per request. */
const warmUpSteps = 50;
const shortestWarmUpStepMs = 100;

/** Istio's; used only by connections that a removed cluster's waiting requests still need. */
const defaultConnectTimeoutMs = 10_000;
