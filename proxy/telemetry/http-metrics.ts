import type { Clock } from "../../common/base/clock.ts";
import type { ServiceName } from "../../common/model/cluster.ts";
import type { Workload } from "../../common/model/endpoint.ts";
import type { PeerIdentity } from "../../common/model/identity.ts";
import type { Exchange, UpstreamHost } from "../http/exchange.ts";
import { BucketCounts } from "./histogram-buckets.ts";
import type { CounterChild, MetricRegistry, MetricSample } from "./metric-registry.ts";
import type { SideLabels, StandardLabels } from "./standard-labels.ts";
import { prefixed, sideLabels, standardLabelNames, unknown, wellKnownCluster } from "./standard-labels.ts";

export interface HttpMetricsParts {
  readonly registry: MetricRegistry;
  readonly clock: Clock;
  /** The workload beside this proxy, or the gateway itself. */
  readonly self: Workload;
  /** The service behind a cluster; asked once per cluster and workload, not per request. */
  readonly serviceOf: (cluster: string) => ServiceName | undefined;
  /** This workload's SPIFFE ID, once it has one. */
  readonly spiffeId?: () => string | undefined;
  /** Name of the Kubernetes cluster we run in (Istio's CLUSTER_ID); "unknown" outside of one. */
  readonly meshCluster?: string;
  /** Label sets kept at most, each with a counter and three histograms. Default 1,000. */
  readonly maxSeries?: number;
}

/** The side that reports, as in Istio's `reporter` label: `source` outbound and on gateways, `destination` inbound. */
export type Reporter = "source" | "destination";

/** ms that a label set must have been quiet before it may make room for a new one. */
const quietMs = 600_000;

/**
 * Istio's standard HTTP metrics. Label values come from configuration, from a few bounded fields of the response, and from the
 * calling sidecar's description, whose number `inbound/read-peer.ts` bounds; nothing else is taken from the request. The number of
 * label sets is capped: a client that makes up hosts, methods or paths cannot grow them (GHSA-42mr-jpwh-m9rv). Byte sizes are
 * those of bodies.
 */
export class HttpMetrics {
  readonly #parts: HttpMetricsParts;
  readonly #self: SideLabels;
  readonly #maxSeries: number;
  readonly #overflows: CounterChild;
  #byLabels = new Map<string, Series>();
  /** Way from an exchange to its series without building a label; a cache that may be thrown away at any time. */
  #ways: Readonly<Record<Reporter, Map<string, ClusterWays>>> = { source: new Map(), destination: new Map() };
  #era = 0;
  #eraStartedAt: number;

  constructor(parts: HttpMetricsParts) {
    this.#parts = parts;
    this.#self = sideLabels(parts.self, parts.meshCluster ?? unknown);
    this.#maxSeries = parts.maxSeries ?? 1000;
    this.#eraStartedAt = parts.clock.monotonic();
    const { registry } = parts;
    registry.family({
      name: "istio_requests_total",
      help: "HTTP requests answered.",
      type: "counter",
      samples: () => this.#counts(),
    });
    for (const [name, help, pick] of histograms) {
      registry.family({ name, help, type: "histogram", samples: () => this.#histogram(pick) });
    }
    this.#overflows = registry.counter(
      "weft_metric_series_overflow_total",
      "Requests counted under overflow labels because the limit of label sets was reached.",
    );
    registry.gauge("weft_metric_series", "Label sets kept.", () => this.#byLabels.size);
  }

  /** For `exchange.onFinish` of outbound and gateway exchanges. */
  readonly observeSource = (exchange: Exchange): void => this.#record("source", exchange);

  /** For `exchange.onFinish` of inbound exchanges. */
  readonly observeDestination = (exchange: Exchange): void => this.#record("destination", exchange);

  #record(reporter: Reporter, exchange: Exchange): void {
    const series = this.#seriesFor(reporter, exchange);
    series.era = this.#era;
    series.requests++;
    series.durationMs.observe(exchange.finishedAt - exchange.startedAt);
    series.requestBytes.observe(exchange.bytesReceived);
    series.responseBytes.observe(exchange.bytesSent);
  }

  #seriesFor(reporter: Reporter, exchange: Exchange): Series {
    // The workload at the other end; this end is always the same one.
    const workload = reporter === "source" ? exchange.upstream?.workload : exchange.peer;
    let ways = this.#ways[reporter].get(exchange.cluster);
    if (ways === undefined) {
      // Cluster names come from config, but whole generations of config pass by while a proxy lives.
      if (this.#ways[reporter].size >= 10_000) this.#forgetWays();
      ways = newWays();
      this.#ways[reporter].set(exchange.cluster, ways);
    }
    const { peer } = exchange.downstream;
    if (reporter === "destination" && peer !== undefined) {
      const known = ways.withPeer.get(peer);
      ways.withPeer.set(peer, known ?? newWays());
      ways = known ?? ways.withPeer.get(peer)!;
    }
    // An endpoint keeps its object as long as its workload, and how it is protected, stay.
    const other = reporter === "source" && workload !== undefined ? exchange.upstream : workload;
    let outcomes = other === undefined ? ways.withoutWorkload : ways.withWorkload.get(other);
    if (outcomes === undefined) {
      outcomes = new Map();
      ways.withWorkload.set(other!, outcomes);
    }
    const key = outcomeKey(exchange);
    let series = outcomes.get(key);
    if (series === undefined) {
      series = this.#resolve(reporter, exchange, workload);
      // Overflowed outcomes are not remembered: there may be any number of them.
      if (series.labels !== undefined) outcomes.set(key, series);
    }
    return series;
  }

  #resolve(reporter: Reporter, exchange: Exchange, workload: Workload | undefined): Series {
    const labels = this.#labels(reporter, exchange, workload);
    const key = standardLabelNames.map((name) => labels[name]).join("\0");
    const known = this.#byLabels.get(key);
    if (known !== undefined) return known;
    if (this.#byLabels.size >= this.#maxSeries) this.#dropQuietSeries();
    if (this.#byLabels.size >= this.#maxSeries) {
      this.#overflows.inc();
      return this.#overflow[reporter];
    }
    const series = new Series(labels);
    this.#byLabels.set(key, series);
    return series;
  }

  readonly #overflow: Readonly<Record<Reporter, Series>> = {
    source: new Series(undefined),
    destination: new Series(undefined),
  };

  #labels(reporter: Reporter, exchange: Exchange, workload: Workload | undefined): StandardLabels {
    const service = this.#parts.serviceOf(exchange.cluster);
    const meshCluster = this.#parts.meshCluster ?? unknown;
    const theirs = reporter === "source" ? exchange.upstream?.spiffeId : exchange.downstream.peer?.spiffeId;
    const ours = theirs && this.#parts.spiffeId?.();
    const other = { ...sideLabels(workload, meshCluster), principal: theirs ?? unknown };
    const self = { ...this.#self, principal: ours ?? unknown };
    const source = reporter === "source" ? self : other;
    const destination = reporter === "source" ? other : self;
    // Inbound clusters name no service; the workload's own canonical service is the best there is.
    const fallback =
      reporter === "destination" ? destination.canonical_service : wellKnownCluster(exchange.cluster);
    return {
      reporter,
      ...prefixed("source", source),
      ...prefixed("destination", destination),
      destination_service: service?.hostname ?? unknown,
      destination_service_name: service?.name ?? fallback,
      destination_service_namespace: service?.namespace ?? destination.workload_namespace,
      request_protocol: isGrpc(exchange) ? "grpc" : "http",
      response_code: String(boundedStatus(exchange.status)),
      grpc_response_status: isGrpc(exchange) ? boundedGrpcStatus(exchange.grpcStatus) : "",
      response_flags: exchange.flags === "" ? "-" : exchange.flags,
      connection_security_policy:
        reporter === "source" ? unknown : exchange.downstream.peer === undefined ? "none" : "mutual_tls",
    };
  }

  #dropQuietSeries(): void {
    const now = this.#parts.clock.monotonic();
    if (now - this.#eraStartedAt < quietMs) return;
    this.#eraStartedAt = now;
    for (const [key, series] of this.#byLabels) {
      if (series.era < this.#era) this.#byLabels.delete(key);
    }
    this.#era++;
    this.#forgetWays();
  }

  #forgetWays(): void {
    this.#ways = { source: new Map(), destination: new Map() };
  }

  *#counts(): Iterable<MetricSample> {
    for (const [labels, series] of this.#all()) yield { suffix: "", labels, value: series.requests };
  }

  *#histogram(pick: (series: Series) => BucketCounts): Iterable<MetricSample> {
    for (const [labels, series] of this.#all()) {
      const counts = pick(series);
      for (const [le, value] of counts.cumulative()) yield { suffix: "_bucket", labels, le, value };
      yield { suffix: "_sum", labels, value: counts.sum };
      yield { suffix: "_count", labels, value: counts.count };
    }
  }

  *#all(): Iterable<readonly [StandardLabels, Series]> {
    for (const series of this.#byLabels.values()) yield [series.labels!, series];
    for (const reporter of ["source", "destination"] as const) {
      const series = this.#overflow[reporter];
      if (series.requests > 0) yield [overflowLabels(reporter), series];
    }
  }
}

class Series {
  /** Absent on the overflow series. */
  readonly labels: StandardLabels | undefined;
  requests = 0;
  readonly durationMs = new BucketCounts();
  readonly requestBytes = new BucketCounts();
  readonly responseBytes = new BucketCounts();
  /** When it was last used, counted in sweeps. */
  era = 0;

  constructor(labels: StandardLabels | undefined) {
    this.labels = labels;
  }
}

interface ClusterWays {
  /** By who the client proved to be. */
  readonly withPeer: WeakMap<PeerIdentity, ClusterWays>;
  /** Weak, because every endpoint update brings new workload objects. */
  readonly withWorkload: WeakMap<Workload | UpstreamHost, Map<number | string, Series>>;
  readonly withoutWorkload: Map<number | string, Series>;
}

function newWays(): ClusterWays {
  return { withPeer: new WeakMap(), withWorkload: new WeakMap(), withoutWorkload: new Map() };
}

const histograms: readonly (readonly [name: string, help: string, pick: (series: Series) => BucketCounts])[] =
  [
    [
      "istio_request_duration_milliseconds",
      "Time from a request's first byte to its end.",
      (s) => s.durationMs,
    ],
    ["istio_request_bytes", "Bytes of request bodies.", (s) => s.requestBytes],
    ["istio_response_bytes", "Bytes of response bodies.", (s) => s.responseBytes],
  ];

/** Everything of the exchange itself that is a label. The common case is a number, so that nothing is concatenated. */
function outcomeKey(exchange: Exchange): number | string {
  const status = boundedStatus(exchange.status);
  const grpc = isGrpc(exchange);
  if (exchange.flags === "" && !grpc) return status;
  const grpcStatus = grpc ? boundedGrpcStatus(exchange.grpcStatus) : "";
  return `${status} ${exchange.flags} ${grpc} ${grpcStatus}`;
}

/** gRPC needs HTTP/2, so HTTP/1.1 exchanges are not searched for a content type. */
function isGrpc(exchange: Exchange): boolean {
  if (exchange.protocol === "HTTP/1.1") return false;
  const type = exchange.headers.get("content-type");
  return type?.startsWith("application/grpc") === true && !type.startsWith("application/grpc-web");
}

function boundedStatus(status: number): number {
  return status >= 100 && status <= 599 ? status : 0;
}

function boundedGrpcStatus(status: string | undefined): string {
  return status !== undefined && /^(?:\d|1[0-6])$/.test(status) ? status : "";
}

function overflowLabels(reporter: Reporter): StandardLabels {
  const labels = Object.fromEntries(standardLabelNames.map((name) => [name, "overflow"]));
  return { ...labels, reporter } as StandardLabels;
}
