import { request } from "undici";
import { describe, expect, it } from "vitest";
import type { ProxyOptions } from "../../proxy/config.ts";
import { sceneOfEachTest } from "../support/scene.ts";
import { onlyPort, resourceYaml, serviceYaml } from "../support/yaml-mesh.ts";

/** What each field of Fault does, from YAML to answers. */

const { echo, meshOf } = sceneOfEachTest();
const host = "reviews.default.svc.cluster.local";

const forRule = (fields: string) =>
  resourceYaml("Fault", "fault", `target: { route: { virtualService: reviews, rule: faulty } }\n${fields}`);

/** Asks `/faulty`, which the Fault is for, or another path. */
async function sceneOf(fields: string, caller: Partial<ProxyOptions> = {}, bytes = 2) {
  const server = await echo("v1", (_request, response) => response.end("x".repeat(bytes)));
  const rules = `hosts: [${host}]
http:
  - { name: faulty, match: [{ uri: { prefix: /faulty } }], route: [{ destination: { host: ${host} } }] }
  - { name: other, route: [{ destination: { host: ${host} } }] }`;
  const mesh = await meshOf(
    serviceYaml(host, { v1: server.port }),
    resourceYaml("VirtualService", "reviews", rules),
    forRule(fields),
  );
  const proxy = await mesh.proxy(caller);
  return async (path = "/faulty", headers: Readonly<Record<string, string>> = {}) => {
    const began = performance.now();
    const url = `http://127.0.0.1:${onlyPort(proxy)}${path}`;
    const answer = await request(url, { headers: { host, ...headers } });
    const text = await answer.body.text();
    return { status: answer.statusCode, headers: answer.headers, text, ms: performance.now() - began };
  };
}

describe("a Fault", () => {
  // covers Fault target.route.virtualService, target.route.rule, abort.httpStatus
  it("aborts the requests of its rule and no others", async () => {
    const ask = await sceneOf("abort: { httpStatus: 418 }");
    expect([(await ask()).status, (await ask("/")).status]).toEqual([418, 200]);
  });

  // covers Fault abort.grpcStatus
  it("aborts with a gRPC status", async () => {
    const ask = await sceneOf("abort: { grpcStatus: RESOURCE_EXHAUSTED }");
    const { status, headers } = await ask("/faulty", { "content-type": "application/grpc" });
    expect([status, headers["grpc-status"]]).toEqual([200, "8"]);
  });

  // covers Fault delay.fixedDelay
  it("delays by a fixed time", async () => {
    const ask = await sceneOf("delay: { fixedDelay: 250ms }");
    expect((await ask()).ms).toBeGreaterThanOrEqual(245);
  });

  // covers Fault delay.exponentialDelay
  it("delays by times with a mean", async () => {
    const ask = await sceneOf("delay: { exponentialDelay: 40ms }");
    const took = await Promise.all(Array.from({ length: 40 }, () => ask()));
    const delays = took.map(({ ms }) => ms).sort((one, other) => one - other);
    // Below the mean lie two thirds of such times, and a few are far above it.
    expect(delays[39]! - delays[0]!).toBeGreaterThan(60);
  });

  // covers Fault abort.percentage.value, delay.percentage.value, responseBandwidth.percentage.value
  it("hits the share that it names", async () => {
    const never = await sceneOf(`abort: { httpStatus: 418, percentage: { value: 0 } }
delay: { fixedDelay: 60s, percentage: { value: 0 } }
responseBandwidth: { kibPerSecond: 1, percentage: { value: 0 } }`);
    expect((await never()).status).toBe(200);
    const half = await sceneOf("abort: { httpStatus: 418, percentage: { value: 50 } }");
    const answers = await Promise.all(Array.from({ length: 200 }, () => half()));
    const aborted = answers.filter(({ status }) => status === 418).length;
    expect(aborted).toBeGreaterThan(60);
    expect(aborted).toBeLessThan(140);
  });

  // covers Fault responseBandwidth.kibPerSecond, maxActive
  it("slows answers, at most so many at a time", async () => {
    const ask = await sceneOf("responseBandwidth: { kibPerSecond: 16 }\nmaxActive: 1", {}, 8 * 1024);
    const took = await Promise.all([ask(), ask(), ask()]);
    expect(took.map(({ text }) => text.length)).toEqual([8192, 8192, 8192]);
    expect(took.filter(({ ms }) => ms >= 400)).toHaveLength(1);
  });

  // covers Fault callers[].namespace, callers[].labels{}, abort.fromHeader, delay.fromHeader, responseBandwidth.fromHeader
  it.each([
    ["[{ namespace: test }]", { namespace: "test" }, 418],
    ["[{ namespace: test }]", { namespace: "default" }, 200],
    ["[{ labels: { app: tester } }]", { labels: "app=tester" }, 418],
    ["[{ labels: { app: tester } }]", { labels: "app=web" }, 200],
    ["[{ namespace: test, labels: { app: tester } }]", { namespace: "test", labels: "app=web" }, 200],
    ["[{ namespace: none }, { labels: { app: tester } }]", { labels: "app=tester" }, 418],
  ])(
    "heeds what a request asks for where callers %s name its proxy %j: %i",
    async (callers, caller, status) => {
      const fromHeader = "{ fromHeader: true }";
      const ask = await sceneOf(
        `callers: ${callers}\nabort: ${fromHeader}\ndelay: ${fromHeader}\nresponseBandwidth: ${fromHeader}`,
        caller,
      );
      expect((await ask("/faulty", { "x-envoy-fault-abort-request": "418" })).status).toBe(status);
      expect((await ask()).status).toBe(200);
    },
  );

  // covers Fault target.service.host, target.service.port, tcp.delay.percentage.value, tcp.reset.percentage.value, tcp.bandwidth.percentage.value
  it("for a service is on the clusters of its ports", async () => {
    const service = `hosts: [db]
location: MESH_INTERNAL
ports: [{ number: 3306, name: tcp-sql }, { number: 3307, name: tcp-other }]
resolution: STATIC
endpoints: [{ address: 127.0.0.1 }]`;
    const tcp = `tcp:
  delay: { fixedDelay: 1s, percentage: { value: 10 } }
  reset: { after: 2s, percentage: { value: 20 } }
  bandwidth: { kibPerSecond: 3, percentage: { value: 30 } }`;
    const fault = (target: string) =>
      resourceYaml("Fault", "wire", `target: { service: { ${target} } }\n${tcp}`);
    const faultsOf = async (target: string) => {
      const mesh = await meshOf(resourceYaml("ServiceEntry", "db", service), fault(target));
      const proxy = await mesh.proxy();
      return ["outbound|3306||", "outbound|3307||"].map(
        (prefix) => [...proxy.clusters].find(({ name }) => name.startsWith(prefix))!.config!.tcpFault,
      );
    };
    const wanted = {
      delay: { fraction: 0.1, ms: 1_000 },
      reset: { fraction: 0.2, afterMs: 2_000 },
      limit: { fraction: 0.3, kibPerSecond: 3 },
    };
    expect(await faultsOf("host: db, port: 3306")).toEqual([wanted, undefined]);
    expect(await faultsOf("host: db")).toEqual([wanted, wanted]);
    expect(await faultsOf("host: other")).toEqual([undefined, undefined]);
  });
});
