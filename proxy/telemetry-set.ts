import type { Clock } from "../common/base/clock.ts";
import type { ServiceName } from "../common/model/cluster.ts";
import type { Workload } from "../common/model/endpoint.ts";
import type { ProxySettings } from "./config.ts";
import type { FilterEvents } from "./filters/filter.ts";
import type { Exchange } from "./http/exchange.ts";
import type { Layer } from "./http/layer.ts";
import { shedLoad } from "./http/shed-load.ts";
import type { TcpConnection, TcpObserver } from "./net/tcp-connection.ts";
import { accessLog } from "./telemetry/access-log.ts";
import { HttpMetrics } from "./telemetry/http-metrics.ts";
import type { LogSink } from "./telemetry/log-sink.ts";
import { openLogSink } from "./telemetry/log-sink.ts";
import { tcpLogSubject } from "./telemetry/log-subject.ts";
import { MetricRegistry } from "./telemetry/metric-registry.ts";
import type { Observer } from "./telemetry/observe.ts";
import { ActiveRequests, observe } from "./telemetry/observe.ts";
import type { ProxyGauges } from "./telemetry/proxy-metrics.ts";
import { proxyMetrics } from "./telemetry/proxy-metrics.ts";
import { TcpMetrics } from "./telemetry/tcp-metrics.ts";

export interface TelemetrySetParts {
  readonly settings: ProxySettings;
  readonly self: Workload;
  readonly clock: Clock;
  readonly hostname: string;
  readonly serviceOf: (cluster: string) => ServiceName | undefined;
  /** This workload's SPIFFE ID, once it has one. */
  readonly spiffeId: () => string | undefined;
  readonly gauges: Omit<ProxyGauges, "activeRequests">;
}

/** The telemetry of one proxy, ready to be put into stacks and filters. */
export interface TelemetrySet {
  readonly registry: MetricRegistry;
  /** Requests under way. */
  readonly active: ActiveRequests;
  /** The topmost layers of the stacks: they count, observe, and refuse what is too much. */
  readonly outbound: Layer;
  readonly inbound: Layer;
  /** For what a client sent that was no request. */
  readonly observeRejected: Observer;
  readonly filterEvents: FilterEvents;
  /** For connections that are passed on. */
  readonly tcp: TcpObserver;
  /** Writes out the access log's last lines. */
  stop(): Promise<void>;
}

/** Wires metrics and access log together. A format that does not compile is a mistake of ours, so it throws. */
export function createTelemetry(parts: TelemetrySetParts): TelemetrySet {
  const { settings, self, clock, serviceOf, spiffeId } = parts;
  const registry = new MetricRegistry();
  const active = new ActiveRequests();
  const counters = proxyMetrics(registry, { ...parts.gauges, activeRequests: () => active.count });
  const metrics = new HttpMetrics({ registry, clock, self, serviceOf, spiffeId });
  const countError = (exchange: Exchange) => {
    if (exchange.errorCode !== undefined) counters.countError(exchange.errorCode);
  };
  const tcpMetrics = new TcpMetrics({ registry, self, serviceOf, spiffeId });
  let logTcp = (_: TcpConnection): void => {};
  let sink: LogSink | undefined;
  const logged: Observer[] = [countError];
  if (settings.accessLog !== "off") {
    sink = openLogSink({
      target: "stdout",
      clock,
      onDrop: (lines) => counters.accessLogLinesDropped.inc(lines),
    });
    const context = { clock, hostname: parts.hostname, environment: settings.environment };
    const observer = accessLog({ encoding: settings.accessLog }, sink, context);
    if (!observer.ok) throw new Error(observer.problems.map(({ why }) => why).join("; "));
    const write = observer.value;
    logged.push(write);
    logTcp = (connection) => write(tcpLogSubject(connection));
  }
  const top = (observer: Observer): Layer => {
    const watch = observe([observer, ...logged]);
    const shed = shedLoad(() => active.count, settings.maxActiveRequests);
    return (next) => active.layer(watch(shed(next)));
  };
  return {
    registry,
    active,
    outbound: top(metrics.observeSource),
    inbound: top(metrics.observeDestination),
    observeRejected: (exchange) => {
      for (const observer of logged) observer(exchange);
    },
    filterEvents: {
      retried: () => counters.retries.inc(),
      mirrorDropped: () => counters.mirrorsDropped.inc(),
    },
    tcp: {
      opened: (connection) => tcpMetrics.opened(connection),
      closed: (connection) => {
        tcpMetrics.closed(connection);
        if (connection.errorCode !== undefined) counters.countError(connection.errorCode);
        logTcp(connection);
      },
    },
    stop: async () => sink?.stop(),
  };
}
