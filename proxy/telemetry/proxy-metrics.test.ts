import { describe, expect, it } from "vitest";
import { MetricRegistry } from "./metric-registry.ts";
import { proxyMetrics } from "./proxy-metrics.ts";

describe("Weft's own metrics", () => {
  it("counts errors by code from zero on, and reads gauges at the scrape", async () => {
    const registry = new MetricRegistry();
    let activeRequests = 0;
    const counters = proxyMetrics(registry, {
      activeRequests: () => activeRequests,
      activeConnections: () => 2,
      isXdsConnected: () => true,
      configVersions: () => ({ listener: "12", cluster: 'a"b' }),
      configRejections: () => 4,
      outliers: () => [{ cluster: "outbound|80||reviews", ejected: 1, ejections: 3 }],
    });
    counters.countError("no_route");
    counters.retries.inc();
    activeRequests = 5;
    const { body } = await registry.expose();
    expect(body).toContain('weft_errors_total{code="no_route"} 1\n');
    expect(body).toContain('weft_errors_total{code="bad_request"} 0\n');
    expect(body).toContain("weft_active_requests 5\n");
    expect(body).toContain("weft_xds_connected 1\n");
    expect(body).toContain("weft_retry_total 1\n");
    expect(body).toContain("weft_config_rejections_total 4\n");
    expect(body).toContain('weft_config_version{listener="12",cluster="a\\"b"} 1\n');
    expect(body).toMatch(/process_resident_memory_bytes [1-9]\d+\n/);
    expect(body).toContain("# TYPE process_cpu_seconds_total counter\n");
  });

  it("keeps registries apart", async () => {
    const [one, other] = [new MetricRegistry(), new MetricRegistry()];
    one.counter("weft_retry_total", "help").inc();
    other.counter("weft_retry_total", "help");
    expect((await one.expose()).body).toContain("weft_retry_total 1");
    expect((await other.expose()).body).toContain("weft_retry_total 0");
  });
});
