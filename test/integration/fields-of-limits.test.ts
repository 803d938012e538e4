import { describe, expect, it } from "vitest";
import type { Cluster } from "../../common/model/cluster.ts";
import { sceneOfEachTest } from "../support/scene.ts";
import { resourceYaml, serviceYaml } from "../support/yaml-mesh.ts";

/**
 * That each limit of a DestinationRule reaches the proxy's cluster with the meaning it was written with. What the proxy does with it is shown
 * where limits are kept: pools, outlier detection, retry budgets.
 */

const { meshOf } = sceneOfEachTest();

type Limits = Partial<
  Pick<Cluster, "connectTimeoutMs" | "connectionPool" | "outlierDetection" | "retryBudget">
>;

describe("a limit", () => {
  // covers DestinationRule trafficPolicy.connectionPool.tcp.connectTimeout, trafficPolicy.connectionPool.tcp.maxConnections
  // covers DestinationRule trafficPolicy.connectionPool.tcp.tcpKeepalive.probes, trafficPolicy.connectionPool.tcp.tcpKeepalive.time
  // covers DestinationRule trafficPolicy.connectionPool.tcp.tcpKeepalive.interval, trafficPolicy.connectionPool.tcp.maxConnectionDuration
  // covers DestinationRule trafficPolicy.connectionPool.http.http1MaxPendingRequests, trafficPolicy.connectionPool.http.http2MaxRequests
  // covers DestinationRule trafficPolicy.connectionPool.http.maxRequestsPerConnection, trafficPolicy.connectionPool.http.maxRetries
  // covers DestinationRule trafficPolicy.connectionPool.http.idleTimeout
  // covers DestinationRule trafficPolicy.outlierDetection.consecutive5xxErrors, trafficPolicy.outlierDetection.consecutiveGatewayErrors
  // covers DestinationRule trafficPolicy.outlierDetection.splitExternalLocalOriginErrors
  // covers DestinationRule trafficPolicy.outlierDetection.consecutiveLocalOriginFailures, trafficPolicy.outlierDetection.interval
  // covers DestinationRule trafficPolicy.outlierDetection.baseEjectionTime, trafficPolicy.outlierDetection.maxEjectionPercent
  // covers DestinationRule trafficPolicy.outlierDetection.minHealthPercent
  // covers DestinationRule trafficPolicy.retryBudget.percent, trafficPolicy.retryBudget.minRetryConcurrency
  it.each<[string, Limits]>([
    ["connectionPool: { tcp: { connectTimeout: 1500ms } }", { connectTimeoutMs: 1500 }],
    ["connectionPool: { tcp: { maxConnections: 7 } }", { connectionPool: { maxConnections: 7 } }],
    [
      "connectionPool: { tcp: { tcpKeepalive: { probes: 4 } } }",
      { connectionPool: { tcpKeepalive: { probes: 4 } } },
    ],
    [
      "connectionPool: { tcp: { tcpKeepalive: { time: 2m } } }",
      { connectionPool: { tcpKeepalive: { timeSeconds: 120 } } },
    ],
    [
      "connectionPool: { tcp: { tcpKeepalive: { interval: 9s } } }",
      { connectionPool: { tcpKeepalive: { intervalSeconds: 9 } } },
    ],
    [
      "connectionPool: { tcp: { maxConnectionDuration: 1h } }",
      { connectionPool: { maxConnectionDurationMs: 3_600_000 } },
    ],
    [
      "connectionPool: { http: { http1MaxPendingRequests: 8 } }",
      { connectionPool: { maxPendingRequests: 8 } },
    ],
    ["connectionPool: { http: { http2MaxRequests: 9 } }", { connectionPool: { maxRequests: 9 } }],
    [
      "connectionPool: { http: { maxRequestsPerConnection: 1 } }",
      { connectionPool: { maxRequestsPerConnection: 1 } },
    ],
    ["connectionPool: { http: { maxRetries: 2 } }", { connectionPool: { maxRetries: 2 } }],
    ["connectionPool: { http: { idleTimeout: 3s } }", { connectionPool: { idleTimeoutMs: 3_000 } }],
    ["outlierDetection: { consecutive5xxErrors: 2 }", outlier({ consecutive5xx: 2 })],
    ["outlierDetection: { consecutiveGatewayErrors: 3 }", outlier({ consecutiveGatewayErrors: 3 })],
    ["outlierDetection: { splitExternalLocalOriginErrors: true }", outlier({ splitLocalOrigin: true })],
    [
      "outlierDetection: { consecutiveLocalOriginFailures: 4 }",
      outlier({ consecutiveLocalOriginFailures: 4 }),
    ],
    ["outlierDetection: { interval: 1s }", outlier({ intervalMs: 1_000 })],
    ["outlierDetection: { baseEjectionTime: 2s }", outlier({ baseEjectionMs: 2_000 })],
    ["outlierDetection: { maxEjectionPercent: 70 }", outlier({ maxEjectionPercent: 70 })],
    ["outlierDetection: { minHealthPercent: 40 }", outlier({ minHealthPercent: 40 })],
    ["retryBudget: { percent: 12.5 }", { retryBudget: { fraction: 0.125, minConcurrency: 3 } }],
    ["retryBudget: { minRetryConcurrency: 9 }", { retryBudget: { fraction: 0.2, minConcurrency: 9 } }],
  ])("such as %s holds in the proxy", async (policy, limits) => {
    expect(await clusterWith(`trafficPolicy: { ${policy} }`)).toMatchObject(limits);
    expect(await clusterWith("")).not.toMatchObject(limits);
  });

  // covers DestinationRule trafficPolicy.portLevelSettings[].connectionPool, trafficPolicy.portLevelSettings[].outlierDetection
  // covers DestinationRule trafficPolicy.portLevelSettings[].port.number
  it("of a port holds for that port, with nothing of what is around it", async () => {
    const around = "connectionPool: { http: { maxRetries: 2 } }, outlierDetection: { interval: 1s }";
    const forPort = (port: number) => `
trafficPolicy:
  ${around.replace("}, ", "}\n  ")}
  portLevelSettings:
  - port: { number: ${port} }
    connectionPool: { tcp: { maxConnections: 7 } }
    outlierDetection: { consecutive5xxErrors: 1 }`;
    const own = await clusterWith(forPort(80));
    expect(own.connectionPool).toEqual({ maxConnections: 7 });
    expect(own.outlierDetection).toMatchObject({ consecutive5xx: 1, intervalMs: 10_000 });
    const other = await clusterWith(forPort(81));
    expect(other.connectionPool).toEqual({ maxRetries: 2 });
    expect(other.outlierDetection).toMatchObject({ consecutive5xx: 5, intervalMs: 1_000 });
  });

  // covers DestinationRule subsets[].trafficPolicy
  it("of a subset holds for it, over the rule's own", async () => {
    const rule = `
trafficPolicy: { connectionPool: { http: { maxRetries: 2 } }, retryBudget: { percent: 5 } }
subsets: [{ name: v1, trafficPolicy: { connectionPool: { tcp: { maxConnections: 7 } } } }]`;
    expect((await clusterWith(rule, "v1")).connectionPool).toEqual({ maxConnections: 7 });
    expect((await clusterWith(rule)).connectionPool).toEqual({ maxRetries: 2 });
  });

  // covers DestinationRule exportTo[]
  it("of a rule holds only in the namespaces that it is exported to", async () => {
    const rule = "exportTo: ['.']\ntrafficPolicy: { connectionPool: { http: { maxRetries: 2 } } }";
    expect((await clusterWith(rule)).connectionPool).toEqual({ maxRetries: 2 });
    expect((await clusterWith(rule, undefined, "other")).connectionPool).toBeUndefined();
  });
});

function outlier(fields: Partial<NonNullable<Cluster["outlierDetection"]>>): Limits {
  return { outlierDetection: expect.objectContaining(fields) as NonNullable<Cluster["outlierDetection"]> };
}

/** What a sidecar has of the service `svc` with this DestinationRule. */
async function clusterWith(rule: string, subset = "", namespace = "default"): Promise<Cluster> {
  const mesh = await meshOf(
    serviceYaml("svc", { v1: 1 }),
    resourceYaml("DestinationRule", "svc", `host: svc\n${rule}`),
  );
  const { received } = (await mesh.proxy({ namespace })).config();
  return received.cluster.get(`outbound|80|${subset}|svc.default.svc.cluster.local`)!.value;
}
