import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { operatorNames } from "./access-log-operators.ts";
import { accessMetrics } from "./access-metrics.ts";
import { captureMetrics, detectionMetrics } from "./capture-metrics.ts";
import { circuitMetrics } from "./circuit-metrics.ts";
import { faultMetrics } from "./fault-metrics.ts";
import { healthCheckMetrics } from "./health-check-metrics.ts";
import { envoyBuckets } from "./histogram-buckets.ts";
import { HttpMetrics } from "./http-metrics.ts";
import { identityMetrics } from "./identity-metrics.ts";
import { limiterMetrics } from "./limiter-metrics.ts";
import { MetricRegistry } from "./metric-registry.ts";
import { onDemandMetrics } from "./on-demand-metrics.ts";
import { proxyMetrics } from "./proxy-metrics.ts";
import { standardLabelNames } from "./standard-labels.ts";
import { TcpMetrics } from "./tcp-metrics.ts";

describe("the reference pages", () => {
  it("lists every metric with its type, and no other", async () => {
    const registry = new MetricRegistry();
    proxyMetrics(registry, {
      activeRequests: () => 0,
      activeConnections: () => 0,
      isXdsConnected: () => false,
      configVersions: () => ({}),
      configRejections: () => 0,
      outliers: () => [],
    });
    circuitMetrics(registry, []);
    captureMetrics(registry, { questions: {} });
    detectionMetrics(registry, new Map());
    onDemandMetrics(registry, () => ({ known: 0, absent: 0, asked: 0, answered: 0, unanswered: 0 }));
    limiterMetrics(registry, []);
    accessMetrics(registry, []);
    healthCheckMetrics(registry, []);
    faultMetrics(registry, { injected: {}, active: 0, overflowed: 0 });
    const none = { full: 0, resumed: 0, failed: 0 };
    identityMetrics(
      registry,
      {
        expiresAt: () => undefined,
        renewals: () => 0,
        failures: () => 0,
        handshakes: () => ({ client: none, server: none }),
      },
      () => 0,
    );
    const self = { name: "", namespace: "", serviceAccount: "", labels: {} };
    new HttpMetrics({ registry, clock: new FakeClock(), self, serviceOf: () => undefined });
    new TcpMetrics({ registry, self, serviceOf: () => undefined });
    const { body } = await registry.expose();
    const printed = Array.from(
      body.matchAll(/^# TYPE (\w+) (\w+)$/gm),
      ([, name, type]) => `${name} ${type}`,
    );
    const listed = Array.from(
      page("metrics").matchAll(/^\| `(\w+)` +\| (counter|gauge|histogram) /gm),
      ([, name, type]) => `${name} ${type}`,
    );
    expect(listed.toSorted()).toEqual(printed.toSorted());
  });

  it("explains every label and names the buckets", () => {
    const labels = Array.from(
      page("metrics").matchAll(/^\| ((?:`\w+`(?:, )?)+) +\| (?!counter|gauge|histogram)/gm),
    ).flatMap(([, cell]) => Array.from(cell!.matchAll(/\w+/g), ([name]) => name));
    expect(labels.toSorted()).toEqual([...standardLabelNames].toSorted());
    expect(page("metrics")).toContain(`${envoyBuckets.join(", ")}.`);
  });

  it("lists every access log operator, and no other", () => {
    const listed = Array.from(page("access-log").matchAll(/^\| `([A-Z_]+)` +\|/gm), ([, name]) => name!);
    expect(listed.toSorted()).toEqual([...operatorNames()].toSorted());
  });
});

function page(name: string): string {
  return readFileSync(new URL(`../../docs/reference/${name}.md`, import.meta.url), "utf8");
}
