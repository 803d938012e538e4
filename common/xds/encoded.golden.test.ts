import { describe, expect, it } from "vitest";
import type { Cluster } from "../model/cluster.ts";
import type { Listener } from "../model/listener.ts";
import { defaultOutlierDetection } from "../model/outlier-detection.ts";
import type { Route, RouteConfiguration } from "../model/route.ts";
import { noHeaderOperations } from "../model/route.ts";
import { encodeCluster } from "./cluster.ts";
import { encodeEndpoints } from "./endpoint.ts";
import messages from "./generated/messages.js";
import { encodeListener } from "./listener.ts";
import { encodeRouteConfiguration } from "./route.ts";
import { fromStruct } from "./weft-metadata.ts";
import { anyType } from "./wire.ts";

/** What goes over the wire, for people to judge: run with --update and read the difference. */

interface Decodable {
  decode(bytes: Uint8Array): object;
}

/** Protobuf as JSON: fields that are set, Anys opened, bytes as text, keys sorted. */
function readable(value: unknown): unknown {
  if (value instanceof Uint8Array) return new TextDecoder().decode(value);
  if (Array.isArray(value)) return value.map(readable);
  if (typeof value !== "object" || value === null) return value;
  if ("type_url" in value) {
    const any = value as { type_url: string; value: Uint8Array };
    return { "@type": anyType(any), ...(readable(codec(anyType(any)).decode(any.value)) as object) };
  }
  if ("fields" in value) return fromStruct(value as messages.google.protobuf.Struct);
  if ("low" in value) return Number(String(value));
  const fields = Object.entries(value).filter(([, field]) => !(Array.isArray(field) && field.length === 0));
  const set = fields.filter(
    ([, field]) =>
      !(typeof field === "object" && field?.constructor === Object && Object.keys(field).length === 0),
  );
  return Object.fromEntries(
    set.sort(([a], [b]) => a.localeCompare(b)).map(([name, field]) => [name, readable(field)]),
  );
}

function codec(type: string): Decodable {
  let at: unknown = messages;
  for (const name of type.split(".")) at = (at as Record<string, unknown>)[name];
  return at as Decodable;
}

async function expectGolden(name: string, type: string, bytes: Uint8Array): Promise<void> {
  const text = `${JSON.stringify(readable(codec(type).decode(bytes)), null, 2)}\n`;
  await expect(text).toMatchFileSnapshot(`testdata/${name}.json`);
}

const source = {
  kind: "VirtualService",
  namespace: "default",
  name: "reviews",
  file: "reviews.yaml",
  line: 7,
};

const full: Route = {
  name: "canary",
  source,
  match: {
    path: { kind: "prefix", value: "/api", ignoreCase: true },
    method: { kind: "exact", value: "GET" },
    headers: [
      { name: "end-user", match: { kind: "exact", value: "jason" }, invert: false },
      { name: "x-bot", match: { kind: "regex", value: ".*bot" }, invert: true },
    ],
    queryParams: [{ name: "v", match: { kind: "exact", value: "2" } }],
  },
  action: {
    kind: "forward",
    destinations: [
      {
        destination: "outbound|9080|v1|reviews.default.svc.cluster.local",
        weight: 90,
        requestHeaders: noHeaderOperations,
        responseHeaders: noHeaderOperations,
      },
      {
        destination: "outbound|9080|v2|reviews.default.svc.cluster.local",
        weight: 10,
        requestHeaders: noHeaderOperations,
        responseHeaders: { set: [], add: [], remove: ["server"] },
      },
    ],
    rewrite: { prefix: "/", authority: "reviews" },
    timeoutMs: 2500,
    retry: {
      attempts: 3,
      perTryTimeoutMs: 800,
      on: ["connect-failure", "refused-stream"],
      statusCodes: [503],
      baseIntervalMs: 25,
      maxIntervalMs: 250,
    },
    mirrors: [
      {
        destination: "outbound|9080|v3|reviews.default.svc.cluster.local",
        fraction: 0.125,
        shadowHostSuffix: false,
      },
    ],
  },
  requestHeaders: { set: [["X-Canary", "yes"]], add: [["x-hop", "1"]], remove: ["cookie"] },
  responseHeaders: noHeaderOperations,
  cors: {
    allowOrigins: [{ kind: "exact", value: "https://shop.example" }],
    allowMethods: ["GET", "POST"],
    allowHeaders: ["x-user"],
    exposeHeaders: [],
    maxAgeSeconds: 86_400,
    allowCredentials: false,
    forwardUnmatchedPreflights: true,
  },
  fault: {
    delay: { fraction: 0.1, kind: "exponential", ms: 2000 },
    abort: { fraction: 0.0001, httpStatus: 503 },
  },
};

const configuration: RouteConfiguration = {
  name: "http_proxy",
  vhds: false,
  virtualHosts: [
    {
      name: "reviews.default.svc.cluster.local:9080",
      domains: ["reviews.default.svc.cluster.local", "reviews", "reviews:9080"],
      routes: [
        full,
        {
          ...full,
          name: "moved",
          match: { path: { kind: "exact", value: "/old", ignoreCase: false }, headers: [], queryParams: [] },
          action: {
            kind: "redirect",
            path: "/new",
            scheme: "https",
            port: "from-protocol-default",
            status: 301,
          },
        },
      ],
    },
  ],
};

const cluster: Cluster = {
  name: "outbound|9080|v1|reviews.default.svc.cluster.local",
  discovery: { kind: "eds" },
  loadBalancer: { kind: "least-request" },
  connectTimeoutMs: 10_000,
  source: { kind: "DestinationRule", namespace: "default", name: "reviews" },
  service: { hostname: "reviews.default.svc.cluster.local", name: "reviews", namespace: "default" },
  subset: "v1",
};

const listener: Listener = {
  name: "0.0.0.0_8080",
  address: "0.0.0.0",
  port: 8080,
  direction: "gateway",
  filterChains: [
    { name: "http", http: { statPrefix: "gateway", routes: { kind: "rds", routeConfigName: "http.8080" } } },
  ],
  source: { kind: "Gateway", namespace: "default", name: "shop" },
};

describe("the encoded form", () => {
  it("of a route uses Envoy's fields, and weft metadata only for what Envoy cannot say", async () => {
    await expectGolden(
      "route-configuration",
      "envoy.config.route.v3.RouteConfiguration",
      encodeRouteConfiguration(configuration),
    );
  });

  it("of a route configuration whose virtual hosts come by VHDS names ADS", async () => {
    const bytes = encodeRouteConfiguration({ name: "http_proxy", vhds: true, virtualHosts: [] });
    await expectGolden("route-configuration-vhds", "envoy.config.route.v3.RouteConfiguration", bytes);
  });

  it("of a cluster carries its service and provenance", async () => {
    await expectGolden("cluster-eds", "envoy.config.cluster.v3.Cluster", encodeCluster(cluster));
  });

  it("of a cluster with limits, a retry budget and outlier detection speaks Envoy's words", async () => {
    const bytes = encodeCluster({
      ...cluster,
      connectionPool: {
        maxConnections: 100,
        maxPendingRequests: 10,
        maxRequestsPerConnection: 1,
        idleTimeoutMs: 30_000,
        tcpKeepalive: { timeSeconds: 60 },
      },
      retryBudget: { fraction: 0.125, minConcurrency: 0 },
      outlierDetection: { ...defaultOutlierDetection, consecutiveGatewayErrors: 3, minHealthPercent: 30 },
    });
    await expectGolden("cluster-limits", "envoy.config.cluster.v3.Cluster", bytes);
  });

  it("of a cluster with a health check speaks Envoy's words", async () => {
    const bytes = encodeCluster({
      ...cluster,
      outlierDetection: { ...defaultOutlierDetection, minHealthPercent: 50 },
      healthCheck: {
        probe: {
          kind: "http",
          path: "/healthz",
          method: "HEAD",
          host: "reviews",
          headers: [["x-check", "1"]],
          expectedStatuses: [{ start: 200, end: 300 }],
          retriableStatuses: [{ start: 100, end: 600 }],
        },
        intervalMs: 10_000,
        unhealthyIntervalMs: 2_000,
        noTrafficIntervalMs: 60_000,
        intervalJitterMs: 1_000,
        intervalJitterPercent: 5,
        initialJitterMs: 500,
        timeoutMs: 1_500,
        healthyThreshold: 1,
        unhealthyThreshold: 3,
        reusesConnection: true,
        minHealthPercent: 50,
      },
    });
    await expectGolden("cluster-health-check", "envoy.config.cluster.v3.Cluster", bytes);
  });

  it("of a DNS cluster holds its host names", async () => {
    const endpoints = [{ address: "httpbin.org", port: 80, weight: 1, health: "healthy" }] as const;
    const bytes = encodeCluster({
      ...cluster,
      name: "outbound|80||httpbin.org",
      discovery: { kind: "dns", endpoints },
    });
    await expectGolden("cluster-dns", "envoy.config.cluster.v3.Cluster", bytes);
  });

  it("of a gateway's listener chains CORS, faults and the router", async () => {
    await expectGolden("listener-gateway", "envoy.config.listener.v3.Listener", encodeListener(listener));
  });

  it("of endpoints groups them by locality and names the workload", async () => {
    const workload = {
      name: "reviews-v1",
      namespace: "default",
      serviceAccount: "reviews",
      labels: { app: "reviews", version: "v1" },
    };
    const locality = { region: "eu", zone: "eu-1", subzone: "" };
    const bytes = encodeEndpoints({
      cluster: cluster.name,
      endpoints: [
        { address: "10.0.0.1", port: 9080, weight: 3, health: "healthy", workload, locality },
        { address: "10.0.0.2", port: 9080, weight: 1, health: "draining" },
        { address: "10.0.0.3", port: 9080, weight: 1, health: "unhealthy", workload, locality },
      ],
    });
    await expectGolden("endpoints", "envoy.config.endpoint.v3.ClusterLoadAssignment", bytes);
  });
});
