import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Workload } from "../../common/model/endpoint.ts";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { Body } from "../http/body.ts";
import { Exchange } from "../http/exchange.ts";
import { HeaderList } from "../http/header-list.ts";
import { HttpMetrics } from "./http-metrics.ts";
import { MetricRegistry } from "./metric-registry.ts";
import { standardLabelNames } from "./standard-labels.ts";

const product: Workload = {
  name: "product-v1",
  namespace: "shop",
  serviceAccount: "product",
  labels: { app: "product", version: "v1" },
};
const review: Workload = {
  name: "review-v2",
  namespace: "shop",
  serviceAccount: "review",
  labels: {
    app: "review",
    version: "v2",
    "service.istio.io/canonical-name": "reviews",
    "service.istio.io/canonical-revision": "blue",
  },
};
const cluster = "outbound|9080|v2|review.shop.svc.cluster.local";

describe("Istio's HTTP metrics", () => {
  it("carries all of Istio's labels on the client's side", async () => {
    const { metrics, scrape } = create();
    metrics.observeSource(served());
    const [sample] = await scrape("istio_requests_total");
    expect(sample).toEqual({
      value: 1,
      labels: {
        reporter: "source",
        source_workload: "product-v1",
        source_workload_namespace: "shop",
        source_canonical_service: "product",
        source_canonical_revision: "v1",
        source_app: "product",
        source_version: "v1",
        source_cluster: "Kubernetes",
        source_principal: "unknown",
        destination_workload: "review-v2",
        destination_workload_namespace: "shop",
        destination_canonical_service: "reviews",
        destination_canonical_revision: "blue",
        destination_app: "review",
        destination_version: "v2",
        destination_cluster: "Kubernetes",
        destination_principal: "unknown",
        destination_service: "review.shop.svc.cluster.local",
        destination_service_name: "review",
        destination_service_namespace: "shop",
        request_protocol: "http",
        response_code: "200",
        response_flags: "-",
        grpc_response_status: "",
        connection_security_policy: "unknown",
      },
    });
    expect(Object.keys(sample!.labels).sort()).toEqual([...standardLabelNames].sort());
  });

  it("names itself as the destination on the server's side", async () => {
    const { metrics, scrape } = create();
    metrics.observeDestination(served({ cluster: "inbound|9080||", upstream: undefined }));
    const [sample] = await scrape("istio_requests_total");
    expect(sample!.labels).toMatchObject({
      reporter: "destination",
      source_workload: "unknown",
      source_canonical_revision: "latest",
      destination_workload: "product-v1",
      destination_service: "unknown",
      destination_service_name: "product",
      destination_service_namespace: "shop",
      connection_security_policy: "none",
    });
  });

  it("names the peer as the source on the server's side, when it said who it is", async () => {
    const { metrics, scrape } = create();
    const exchange = served({ cluster: "inbound|9080||", upstream: undefined });
    exchange.peer = review;
    metrics.observeDestination(exchange);
    const [sample] = await scrape("istio_requests_total");
    expect(sample!.labels).toMatchObject({
      source_workload: "review-v2",
      source_app: "review",
      source_version: "v2",
      destination_workload: "product-v1",
    });
  });

  it("says passthrough by name, and unknown for what no route took", async () => {
    const { metrics, scrape } = create();
    metrics.observeSource(served({ cluster: "PassthroughCluster", upstream: undefined }));
    metrics.observeSource(served({ cluster: "", upstream: undefined, status: 404, flags: "NR" }));
    const [passthrough, unrouted] = await scrape("istio_requests_total");
    expect(passthrough!.labels).toMatchObject({ destination_service_name: "PassthroughCluster" });
    expect(unrouted!.labels).toMatchObject({
      destination_service: "unknown",
      destination_workload: "unknown",
      response_code: "404",
      response_flags: "NR",
    });
  });

  it("tells gRPC by its content type and bounds its status", async () => {
    const { metrics, scrape } = create();
    metrics.observeSource(served({ grpc: true, grpcStatus: "14" }));
    metrics.observeSource(served({ grpc: true, grpcStatus: "fourteen" }));
    const samples = await scrape("istio_requests_total");
    expect(samples.map(({ labels }) => [labels["request_protocol"], labels["grpc_response_status"]])).toEqual(
      [
        ["grpc", "14"],
        ["grpc", ""],
      ],
    );
  });

  it("counts durations and sizes in Envoy's buckets, cumulatively", async () => {
    const { metrics, scrape } = create();
    for (const durationMs of [0.4, 5, 5.1, 4_000_000]) metrics.observeSource(served({ durationMs }));
    const buckets = await scrape("istio_request_duration_milliseconds_bucket");
    expect(buckets.map(({ labels, value }) => [labels["le"], value])).toEqual([
      ["0.5", 1],
      ["1", 1],
      ["5", 2],
      ...["10", "25", "50", "100", "250", "500", "1000", "2500", "5000", "10000", "30000", "60000"].map(
        (le) => [le, 3],
      ),
      ...["300000", "600000", "1800000", "3600000"].map((le) => [le, 3]),
      ["+Inf", 4],
    ]);
    expect(await scrape("istio_request_duration_milliseconds_count")).toMatchObject([{ value: 4 }]);
    expect((await scrape("istio_request_duration_milliseconds_sum"))[0]!.value).toBeCloseTo(4_000_010.5);
    expect(await scrape("istio_request_bytes_sum")).toMatchObject([{ value: 4 * 7 }]);
    expect(await scrape("istio_response_bytes_sum")).toMatchObject([{ value: 4 * 100 }]);
  });

  it("counts into the same series when an update brings an equal workload as a new object", async () => {
    const { metrics, scrape } = create();
    metrics.observeSource(served());
    metrics.observeSource(served({ upstream: { address: "10.0.0.8:9080", workload: { ...review } } }));
    expect(await scrape("istio_requests_total")).toMatchObject([{ value: 2 }]);
  });

  it("tells prometheus the type of each family", async () => {
    const { metrics, registry } = create();
    metrics.observeSource(served());
    const { body } = await registry.expose();
    expect(body).toContain("# TYPE istio_requests_total counter\n");
    expect(body).toContain("# TYPE istio_request_duration_milliseconds histogram\n");
  });
});

describe("a scrape", () => {
  it("lets the event loop turn while it prints many series", async () => {
    const { metrics, registry } = create();
    for (let status = 100; status < 600; status++) metrics.observeSource(served({ status }));
    let turns = 0;
    let isOver = false;
    const turn = () => {
      turns++;
      if (!isOver) setImmediate(turn);
    };
    setImmediate(turn);
    const { body } = await registry.expose();
    isOver = true;
    expect(body.split("\n").filter((line) => line.startsWith("istio_requests_total{")).length).toBe(500);
    expect(turns).toBeGreaterThan(20);
  });

  it("refuses a second family of the same name", () => {
    const { registry } = create();
    const family = { name: "istio_requests_total", help: "", type: "counter" as const, samples: () => [] };
    expect(() => registry.family(family)).toThrow("istio_requests_total is registered already");
  });
});

describe("case 46: the number of series", () => {
  it("does not grow with what clients and servers make up", async () => {
    const { metrics, scrape } = create({ maxSeries: 50 });
    const requests = fc.sample(
      fc.record({
        authority: fc.string(),
        method: fc.string(),
        path: fc.string(),
        status: fc.integer({ min: -1, max: 99_999 }),
        flags: fc.constantFrom("", "UF", "UF,URX", "DC"),
        grpc: fc.boolean(),
        grpcStatus: fc.string(),
      }),
      10_000,
    );
    for (const request of requests) metrics.observeSource(served(request));
    const samples = await scrape("istio_requests_total");
    expect(samples.length).toBeLessThanOrEqual(51);
    expect(samples.reduce((sum, { value }) => sum + value, 0)).toBe(10_000);
  });

  it("does not depend on host, method or path at all", async () => {
    const { metrics, scrape } = create();
    for (let i = 0; i < 10_000; i++) {
      metrics.observeSource(served({ authority: `h${i}`, method: `M${i}`, path: `/${i}` }));
    }
    expect(await scrape("istio_requests_total")).toMatchObject([{ value: 10_000 }]);
  });

  it("counts what does not fit under overflow labels, and says how much", async () => {
    const { metrics, scrape } = create({ maxSeries: 2 });
    for (const status of [200, 201, 202, 203, 202]) metrics.observeSource(served({ status }));
    const samples = await scrape("istio_requests_total");
    expect(samples.map(({ labels, value }) => [labels["response_code"], labels["reporter"], value])).toEqual([
      ["200", "source", 1],
      ["201", "source", 1],
      ["overflow", "source", 3],
    ]);
    expect(await scrape("weft_metric_series_overflow_total")).toMatchObject([{ value: 3 }]);
  });

  it("makes room by dropping what has been quiet for two sweeps", async () => {
    const { metrics, scrape, clock } = create({ maxSeries: 2 });
    const codes = async () =>
      (await scrape("istio_requests_total")).map(({ labels }) => labels["response_code"]);
    metrics.observeSource(served({ status: 200 }));
    metrics.observeSource(served({ status: 201 }));
    await clock.advance(600_000);
    metrics.observeSource(served({ status: 202 }));
    expect(await codes()).toEqual(["200", "201", "overflow"]);
    metrics.observeSource(served({ status: 200 }));
    await clock.advance(600_000);
    metrics.observeSource(served({ status: 202 }));
    expect(await codes()).toEqual(["200", "202", "overflow"]);
  });
});

function create(options: { maxSeries?: number } = {}) {
  const registry = new MetricRegistry();
  const clock = new FakeClock();
  const metrics = new HttpMetrics({
    registry,
    clock,
    self: product,
    meshCluster: "Kubernetes",
    serviceOf: (name) =>
      name === cluster
        ? { hostname: "review.shop.svc.cluster.local", name: "review", namespace: "shop" }
        : undefined,
    ...options,
  });
  const scrape = async (name: string) => parse((await registry.expose()).body, name);
  return { metrics, registry, clock, scrape };
}

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The samples of `name` in Prometheus' text format. */
function parse(body: string, name: string): Sample[] {
  return body
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .map((line) => ({
      labels: Object.fromEntries(
        Array.from(line.matchAll(/(\w+)="([^"]*)"/g), ([, key, value]) => [key!, value!]),
      ),
      value: Number(line.slice(line.lastIndexOf(" "))),
    }));
}

interface Served {
  readonly cluster?: string;
  readonly upstream?: Exchange["upstream"];
  readonly status?: number;
  readonly flags?: string;
  readonly grpc?: boolean;
  readonly grpcStatus?: string;
  readonly durationMs?: number;
  readonly authority?: string;
  readonly method?: string;
  readonly path?: string;
}

function served(of: Served = {}): Exchange {
  const exchange = new Exchange({
    downstream: {
      remote: { host: "10.0.0.1", port: 40_000 },
      local: { host: "127.0.0.1", port: 15_001 },
      listener: "virtualOutbound",
      scheme: "http",
    },
    protocol: of.grpc ? "HTTP/2" : "HTTP/1.1",
    startedAt: 1,
    method: of.method ?? "GET",
    scheme: "http",
    authority: of.authority ?? "review",
    path: of.path ?? "/",
    headers: new HeaderList(of.grpc ? ["content-type", "application/grpc+proto"] : []),
    body: Body.empty(),
    upgrade: undefined,
    expectsContinue: false,
  });
  exchange.cluster = of.cluster ?? cluster;
  exchange.upstream = "upstream" in of ? of.upstream : { address: "10.0.0.7:9080", workload: review };
  exchange.status = of.status ?? 200;
  exchange.flags = of.flags ?? "";
  exchange.grpcStatus = of.grpcStatus;
  exchange.bytesReceived = 7;
  exchange.bytesSent = 100;
  exchange.finish(1 + (of.durationMs ?? 2));
  return exchange;
}
