import type { ServiceName } from "../../common/model/cluster.ts";
import type { Workload } from "../../common/model/endpoint.ts";
import type { TcpConnection, TcpObserver } from "../net/tcp-connection.ts";
import type { MetricRegistry, MetricSample } from "./metric-registry.ts";
import type { SideLabels } from "./standard-labels.ts";
import { prefixed, sideLabels, unknown, wellKnownCluster } from "./standard-labels.ts";

export interface TcpMetricsParts {
  readonly registry: MetricRegistry;
  /** The workload beside this proxy, or the gateway itself. */
  readonly self: Workload;
  readonly serviceOf: (cluster: string) => ServiceName | undefined;
  /** This workload's SPIFFE ID, once it has one. */
  readonly spiffeId?: () => string | undefined;
  /** Name of the Kubernetes cluster we run in (Istio's CLUSTER_ID); "unknown" outside of one. */
  readonly meshCluster?: string;
  /** Label sets kept at most. Default 1,000. */
  readonly maxSeries?: number;
}

/**
 * Istio's standard TCP metrics. Bytes of connections that are open are read from them when somebody scrapes, so a long download shows
 * while it runs and nothing is counted twice. No label comes from a client.
 */
export class TcpMetrics implements TcpObserver {
  readonly #parts: TcpMetricsParts;
  readonly #self: SideLabels;
  readonly #maxSeries: number;
  readonly #byLabels = new Map<string, TcpSeries>();
  readonly #open = new Map<TcpConnection, TcpSeries>();
  readonly #overflow: TcpSeries;

  constructor(parts: TcpMetricsParts) {
    this.#parts = parts;
    this.#self = sideLabels(parts.self, parts.meshCluster ?? unknown);
    this.#maxSeries = parts.maxSeries ?? 1000;
    this.#overflow = new TcpSeries({ reporter: "overflow" });
    for (const { name, help, read, live } of families) {
      parts.registry.family({ name, help, type: "counter", samples: () => this.#samples(read, live) });
    }
  }

  opened(connection: TcpConnection): void {
    const series = this.#seriesOf(connection);
    series.opened++;
    this.#open.set(connection, series);
  }

  closed(connection: TcpConnection): void {
    let series = this.#open.get(connection);
    if (series === undefined) {
      // It never got to an upstream: opened by the client, closed by us, under the flags that say why.
      series = this.#seriesOf(connection);
      series.opened++;
    }
    this.#open.delete(connection);
    series.closed++;
    series.received += connection.bytesReceived;
    series.sent += connection.bytesSent;
  }

  #seriesOf(connection: TcpConnection): TcpSeries {
    const labels = this.#labels(connection);
    const key = Object.values(labels).join("\0");
    let series = this.#byLabels.get(key);
    if (series === undefined) {
      if (this.#byLabels.size >= this.#maxSeries) return this.#overflow;
      series = new TcpSeries(labels);
      this.#byLabels.set(key, series);
    }
    return series;
  }

  #labels(connection: TcpConnection): Readonly<Record<string, string>> {
    const { downstream, cluster, upstream, peer, flags } = connection;
    const reporter = downstream.direction === "inbound" ? "destination" : "source";
    const service = this.#parts.serviceOf(cluster);
    const other = sideLabels(
      reporter === "source" ? upstream?.workload : peer,
      this.#parts.meshCluster ?? unknown,
    );
    const theirs = reporter === "source" ? upstream?.spiffeId : downstream.peer?.spiffeId;
    const principals = { theirs: theirs ?? unknown, ours: (theirs && this.#parts.spiffeId?.()) ?? unknown };
    const destination = reporter === "source" ? other : this.#self;
    const fallback = reporter === "destination" ? destination.canonical_service : wellKnownCluster(cluster);
    return {
      reporter,
      ...prefixed("source", reporter === "source" ? this.#self : other),
      ...prefixed("destination", destination),
      source_principal: reporter === "source" ? principals.ours : principals.theirs,
      destination_principal: reporter === "source" ? principals.theirs : principals.ours,
      destination_service: service?.hostname ?? unknown,
      destination_service_name: service?.name ?? fallback,
      destination_service_namespace: service?.namespace ?? destination.workload_namespace,
      request_protocol: "tcp",
      response_flags: flags === "" ? "-" : flags,
      connection_security_policy:
        reporter === "source" ? unknown : downstream.peer === undefined ? "none" : "mutual_tls",
    };
  }

  *#samples(
    read: (series: TcpSeries) => number,
    live: (connection: TcpConnection) => number,
  ): Iterable<MetricSample> {
    const running = new Map<TcpSeries, number>();
    for (const [connection, series] of this.#open)
      running.set(series, (running.get(series) ?? 0) + live(connection));
    for (const series of [...this.#byLabels.values(), this.#overflow]) {
      if (series.opened === 0) continue;
      yield { suffix: "", labels: series.labels, value: read(series) + (running.get(series) ?? 0) };
    }
  }
}

class TcpSeries {
  readonly labels: Readonly<Record<string, string>>;
  opened = 0;
  closed = 0;
  received = 0;
  sent = 0;

  constructor(labels: Readonly<Record<string, string>>) {
    this.labels = labels;
  }
}

/** `live`: what connections that are still open add. */
const families: readonly {
  readonly name: string;
  readonly help: string;
  readonly read: (series: TcpSeries) => number;
  readonly live: (connection: TcpConnection) => number;
}[] = [
  {
    name: "istio_tcp_connections_opened_total",
    help: "TCP connections that clients opened.",
    read: ({ opened }) => opened,
    live: () => 0,
  },
  {
    name: "istio_tcp_connections_closed_total",
    help: "TCP connections that are over.",
    read: ({ closed }) => closed,
    live: () => 0,
  },
  {
    name: "istio_tcp_sent_bytes_total",
    help: "Bytes sent to clients over TCP connections.",
    read: ({ sent }) => sent,
    live: ({ bytesSent }) => bytesSent,
  },
  {
    name: "istio_tcp_received_bytes_total",
    help: "Bytes received from clients over TCP connections.",
    read: ({ received }) => received,
    live: ({ bytesReceived }) => bytesReceived,
  },
];
