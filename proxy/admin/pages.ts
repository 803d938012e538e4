import { closestName } from "../../common/base/closest.ts";
import type { ProxyNode } from "../../common/model/node.ts";
import type { UpstreamCluster } from "../cluster/upstream-cluster.ts";
import type { ProxyConfig } from "../state/proxy-config.ts";
import type { CircuitView } from "../telemetry/circuit-metrics.ts";
import type { LimiterView } from "../telemetry/limiter-metrics.ts";
import type { Log } from "../telemetry/log.ts";
import { isLogLevel, logLevels } from "../telemetry/log.ts";
import type { MetricRegistry } from "../telemetry/metric-registry.ts";
import type { Answer } from "./answer.ts";
import { json, text } from "./answer.ts";
import type { CertificatesView } from "./certificates.ts";
import { circuitStatuses, printCircuits } from "./circuit-status.ts";
import { clusterStatuses, printClusters } from "./cluster-status.ts";
import { configDump, configSections } from "./config-dump.ts";
import { limitStatuses, printLimits } from "./limit-status.ts";
import type { Readiness } from "./readiness.ts";

/** All that the admin pages show or do. */
export interface AdminParts {
  readonly node: ProxyNode;
  readonly readiness: Readiness;
  readonly config: () => ProxyConfig;
  readonly clusters: () => Iterable<UpstreamCluster>;
  readonly circuits: () => Iterable<CircuitView>;
  readonly limits: () => Iterable<LimiterView>;
  /** Absent: this proxy has no identity. */
  readonly certificates?: () => CertificatesView;
  readonly metrics: MetricRegistry;
  readonly log: Log;
  /** Stops accepting and lets what is under way finish. Called at most once per request to `/drain`; must bear repetition. */
  readonly drain: () => void;
  /** Drains, then ends the process. */
  readonly quit: () => void;
}

export interface Page {
  readonly path: string;
  readonly help: string;
  /** Pages that change something have a `post`; a page without `get` may only be posted to. */
  readonly get?: (parts: AdminParts, query: URLSearchParams) => Answer | Promise<Answer>;
  readonly post?: (parts: AdminParts, query: URLSearchParams) => Answer | Promise<Answer>;
}

/** Every page, with Envoy's paths where Envoy has the page. */
export const pages: readonly Page[] = [
  { path: "/", help: "this list", get: help },
  { path: "/help", help: "this list", get: help },
  { path: "/ready", help: "200 when traffic may come, else 503 with what is missing", get: ready },
  {
    path: "/config_dump",
    help: `what this proxy runs, as JSON; ?section=${configSections.join("|")}`,
    get: showConfig,
  },
  { path: "/clusters", help: "upstreams and their endpoints now; ?format=json", get: showClusters },
  { path: "/breakers", help: "circuit breakers and their states now; ?format=json", get: showCircuits },
  { path: "/limits", help: "rate limits and what they let through; ?format=json", get: showLimits },
  {
    path: "/certs",
    help: "this workload's certificates and roots, as JSON; never a key",
    get: showCertificates,
  },
  { path: "/stats", help: "metrics, in Prometheus' text format", get: showMetrics },
  { path: "/stats/prometheus", help: "metrics, in Prometheus' text format", get: showMetrics },
  {
    path: "/logging",
    help: `the log's level; POST ?level=${logLevels.join("|")} changes it`,
    get: ({ log }) => text(`level: ${log.level}`),
    post: changeLevel,
  },
  {
    path: "/drain",
    help: "POST: accept no more connections, finish what is under way",
    post: ({ drain }) => {
      drain();
      return text("draining");
    },
  },
  {
    path: "/quitquitquit",
    help: "POST: drain, then exit",
    post: ({ quit }) => {
      quit();
      return text("draining, then exiting");
    },
  },
];

function help(): Answer {
  const width = Math.max(...pages.map(({ path }) => path.length));
  return text(pages.map((page) => `${page.path.padEnd(width)}  ${page.help}`).join("\n"));
}

function ready({ readiness }: AdminParts): Answer {
  return readiness.isReady ? text("LIVE") : text(`not ready, open: ${readiness.open.join(", ")}`, 503);
}

function showConfig({ config, node }: AdminParts, query: URLSearchParams): Answer {
  const wanted = query.get("section");
  if (wanted === null) return json(configDump(config(), node));
  const section = configSections.find((name) => name === wanted);
  return section === undefined
    ? text(`no section ${JSON.stringify(wanted)}; there are ${configSections.join(", ")}`, 400)
    : json(configDump(config(), node, [section]));
}

function showClusters({ clusters }: AdminParts, query: URLSearchParams): Answer {
  const statuses = clusterStatuses(clusters());
  return query.get("format") === "json" ? json({ clusters: statuses }) : text(printClusters(statuses));
}

function showCircuits({ circuits }: AdminParts, query: URLSearchParams): Answer {
  const statuses = circuitStatuses(circuits());
  return query.get("format") === "json" ? json({ breakers: statuses }) : text(printCircuits(statuses));
}

function showCertificates({ certificates }: AdminParts): Answer {
  return json(certificates?.() ?? { chain: [], roots: [] });
}

function showLimits({ limits }: AdminParts, query: URLSearchParams): Answer {
  const statuses = limitStatuses(limits());
  return query.get("format") === "json" ? json({ limits: statuses }) : text(printLimits(statuses));
}

async function showMetrics({ metrics }: AdminParts): Promise<Answer> {
  return { status: 200, ...(await metrics.expose()) };
}

function changeLevel({ log }: AdminParts, query: URLSearchParams): Answer {
  const level = query.get("level") ?? "";
  if (!isLogLevel(level)) {
    const closest = closestName(level, logLevels);
    const hint = closest === undefined ? `one of ${logLevels.join(", ")}` : `did you mean ${closest}?`;
    return text(`no level ${JSON.stringify(level)}; ${hint}`, 400);
  }
  log.setLevel(level);
  return text(`level: ${level}`);
}
