import type { ErrorCode } from "../errors.ts";
import { errorCatalogue } from "../errors.ts";
import type { CounterChild, MetricLabels, MetricRegistry } from "./metric-registry.ts";

/** What the proxy's parts know of themselves; read at each scrape. */
export interface ProxyGauges {
  readonly activeRequests: () => number;
  readonly activeConnections: () => number;
  readonly isXdsConnected: () => boolean;
  /** The last version applied per xDS type, such as `{ listeners: "12" }`. */
  readonly configVersions: () => MetricLabels;
  /** Config updates refused (NACKs) since the start. */
  readonly configRejections: () => number;
  /** Of the clusters that have outlier detection. */
  readonly outliers: () => readonly OutlierCount[];
}

/** What outlier detection has done with a cluster's endpoints. */
export interface OutlierCount {
  readonly cluster: string;
  /** Endpoints that take no traffic now. */
  readonly ejected: number;
  /** Since the start. */
  readonly ejections: number;
}

/** Counters that the data path's parts are given. */
export interface ProxyCounters {
  readonly retries: CounterChild;
  readonly mirrorsDropped: CounterChild;
  readonly accessLogLinesDropped: CounterChild;
  /** Counts what ended a request early, whether an exchange existed or the codec refused the bytes before. */
  readonly countError: (code: ErrorCode) => void;
}

/** Weft's own metrics, all named `weft_…`. */
export function proxyMetrics(registry: MetricRegistry, gauges: ProxyGauges): ProxyCounters {
  registry.gauge("weft_active_requests", "Requests under way.", gauges.activeRequests);
  registry.gauge("weft_active_connections", "Downstream connections open.", gauges.activeConnections);
  registry.gauge("weft_xds_connected", "1 while a control plane is connected.", () =>
    gauges.isXdsConnected() ? 1 : 0,
  );
  registry.readCounter(
    "weft_config_rejections_total",
    "Config updates refused since the start.",
    gauges.configRejections,
  );
  const perCluster = (name: string, help: string, type: "counter" | "gauge", key: "ejected" | "ejections") =>
    registry.family({
      name,
      help,
      type,
      samples: () =>
        gauges.outliers().map((count) => ({
          suffix: "",
          labels: { cluster: count.cluster },
          value: count[key],
        })),
    });
  perCluster(
    "weft_outlier_ejections_total",
    "Endpoints taken out of use by outlier detection.",
    "counter",
    "ejections",
  );
  perCluster("weft_outlier_ejected", "Endpoints out of use now by outlier detection.", "gauge", "ejected");
  registry.info("weft_config_version", "The config applied, per xDS type.", gauges.configVersions);
  registry.gauge("process_resident_memory_bytes", "Resident memory.", () => process.memoryUsage.rss());
  registry.readCounter("process_cpu_seconds_total", "CPU time, user and system.", () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  registry.gauge(
    "nodejs_heap_size_used_bytes",
    "JavaScript heap in use.",
    () => process.memoryUsage().heapUsed,
  );

  const errors = registry.labelledCounter(
    "weft_errors_total",
    "Requests ended early, by the code of the error catalogue.",
    "code",
  );
  // From zero on, so that an alert on a rate does not miss the first one.
  for (const code of Object.keys(errorCatalogue)) errors(code).inc(0);
  return {
    retries: registry.counter("weft_retry_total", "Attempts after the first."),
    mirrorsDropped: registry.counter("weft_mirror_dropped_total", "Copies not sent, to protect the primary."),
    accessLogLinesDropped: registry.counter(
      "weft_access_log_dropped_total",
      "Access log lines given up because the reader is too slow.",
    ),
    countError: (code) => errors(code).inc(),
  };
}
