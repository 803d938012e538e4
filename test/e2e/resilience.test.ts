import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Agent, request } from "undici";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { EchoServer } from "../support/echo-server.ts";
import { startEcho } from "../support/echo-server.ts";
import { startLoad } from "../support/load.ts";
import type { RunningMesh } from "../support/mesh.ts";
import { startMesh } from "../support/mesh.ts";
import { metricSum } from "../support/metrics.ts";

/**
 * Time-outs, retries, faults and shared limits from YAML through the control plane's process and those of two sidecars: echo-v1 and
 * echo-v2 call `backend`, which lives in this process, so that a test can make it slow or ill.
 */
let mesh: RunningMesh;
let folder: string;
let backend: EchoServer;
let handle: (request: IncomingMessage, response: ServerResponse) => void;
const agent = new Agent({ connections: 16 });
const well = (_request: IncomingMessage, response: ServerResponse): void => {
  response.end("well");
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "weft-resilience-"));
  mesh = await startMesh("examples/hello/mesh.yaml");
  backend = await startEcho("backend", (incoming, response) => handle(incoming, response));
  await apply(`apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: backend }
spec:
  hosts: [backend]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: HTTP, targetPort: ${backend.port} }]
  endpoints: [{ address: 127.0.0.1 }]
---
# A handful of requests would soon have used up a budget that is a share of them.
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: backend }
spec: { host: backend, trafficPolicy: { retryBudget: { percent: 100, minRetryConcurrency: 50 } } }
`);
});
beforeEach(() => {
  handle = well;
});
afterAll(async () => {
  await mesh?.stop();
  await backend?.stop();
  await agent.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("a time-out", () => {
  // covers VirtualService http[].timeout
  it("ends what takes longer with 504, and nothing else", async () => {
    await route("timeout: 400ms");
    const began = performance.now();
    expect((await ask("echo-v1")).status).toBe(200);
    handle = (_request, response) => void setTimeout(() => response.end("late"), 3_000);
    const late = await ask("echo-v1");
    expect([late.status, late.text]).toEqual([504, "request_timeout: response_timeout\n"]);
    expect(performance.now() - began).toBeLessThan(2_900);
  });
});

describe("retries", () => {
  // covers VirtualService http[].retries.attempts, http[].retries.retryOn, http[].retries.perTryTimeout
  it("hide failures and attempts that take too long, as often as the rule says", async () => {
    await route("retries: { attempts: 2, retryOn: 5xx, perTryTimeout: 500ms, backoff: 10ms }");
    let attempts = 0;
    handle = (incoming, response) => {
      attempts++;
      if (attempts === 1) response.statusCode = 503;
      if (attempts !== 2) well(incoming, response);
    };
    const answer = await ask("echo-v1");
    expect([answer.status, attempts]).toEqual([200, 3]);
    handle = (_request, response) => {
      attempts++;
      response.statusCode = 500;
      response.end();
    };
    attempts = 0;
    const failed = await ask("echo-v1");
    expect([failed.status, attempts, failed.headers["x-weft-retry"]]).toEqual([500, 3, undefined]);
    attempts = 0;
    expect((await ask("echo-v1", {}, "POST")).status).toBe(500);
    expect(attempts, "a POST may have had its effect").toBe(1);
  });

  // covers VirtualService http[].delegate
  it("come from the rule that delegates when the delegate's rule has none", async () => {
    await apply(
      virtualService("    - delegate: { name: team }\n      retries: { attempts: 1, retryOn: 5xx }"),
      `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: team }
spec: { http: [{ route: [{ destination: { host: backend } }] }] }
`,
    );
    let attempts = 0;
    handle = (_request, response) => {
      attempts++;
      response.statusCode = 503;
      response.end();
    };
    expect([(await ask("echo-v1")).status, attempts]).toEqual([503, 2]);
  });
});

describe("faults", () => {
  // covers VirtualService http[].fault.abort.httpStatus, http[].fault.abort.percentage
  it("of a rule hit every caller's requests", async () => {
    await route("fault: { abort: { httpStatus: 418, percentage: { value: 100 } } }");
    expect([(await ask("echo-v1")).status, (await ask("echo-v2")).status]).toEqual([418, 418]);
  });

  // covers Fault target.route.virtualService, target.route.rule, callers[].labels{}, abort.fromHeader, delay.fromHeader
  it("that requests ask for are for the callers that are named, and for nobody else", async () => {
    await route("name: all");
    const wish = { "x-envoy-fault-abort-request": "418", "x-envoy-fault-delay-request": "300" };
    expect((await ask("echo-v1", wish)).status).toBe(200);
    await apply(`apiVersion: weft.dev/v1alpha1
kind: Fault
metadata: { name: on-request }
spec:
  target: { route: { virtualService: backend, rule: all } }
  callers: [{ labels: { version: v1 } }]
  delay: { fromHeader: true }
  abort: { fromHeader: true }
`);
    const before = await metric("echo-v1", "weft_faults_injected_total");
    const others = await metric("echo-v2", "weft_faults_injected_total");
    const began = performance.now();
    expect((await ask("echo-v1", wish)).status).toBe(418);
    expect(performance.now() - began).toBeGreaterThanOrEqual(295);
    expect((await ask("echo-v1")).status).toBe(200);
    expect((await ask("echo-v2", wish)).status).toBe(200);
    expect(await metric("echo-v1", "weft_faults_injected_total")).toBe(before + 2);
    expect(await metric("echo-v2", "weft_faults_injected_total")).toBe(others);
    await remove("Fault/on-request");
    expect((await ask("echo-v1", wish)).status).toBe(200);
  });

  // covers Fault responseBandwidth.kibPerSecond
  it("let answers trickle", async () => {
    await route("name: all");
    handle = (_request, response) => response.end("x".repeat(16 * 1024));
    await apply(`apiVersion: weft.dev/v1alpha1
kind: Fault
metadata: { name: slow }
spec:
  target: { route: { virtualService: backend } }
  responseBandwidth: { kibPerSecond: 16 }
`);
    const began = performance.now();
    expect((await ask("echo-v1")).text).toHaveLength(16 * 1024);
    expect(performance.now() - began).toBeGreaterThanOrEqual(850);
    await remove("Fault/slow");
  });
});

describe("a global rate limit", () => {
  // covers RateLimit global, target.route.virtualService, rules[].limit.requests, rules[].limit.per
  it("holds for both sidecars together, whoever of them has the requests", async () => {
    await route("name: all");
    await apply(`apiVersion: weft.dev/v1alpha1
kind: RateLimit
metadata: { name: shared }
spec:
  target: { route: { virtualService: backend } }
  global: true
  rules: [{ name: all, limit: { requests: 60, per: 1s, burst: 15 } }]
`);
    for (const name of ["echo-v1", "echo-v2"])
      await expect.poll(() => metric(name, "weft_rate_limit_proxies"), { timeout: 20_000 }).toBe(2);
    const headers = { host: "backend" };
    const loads = [
      startLoad({ url: `${sidecar("echo-v1").outbound}/`, headers, concurrency: 4, perSecond: 200 }),
      startLoad({ url: `${sidecar("echo-v2").outbound}/`, headers, concurrency: 1, perSecond: 5 }),
    ];
    // Until the burst is gone and the shares are where the requests are.
    await loads[0]!.reached(800);
    const from = backend.requests;
    const began = performance.now();
    await loads[0]!.reached(loads[0]!.count + 800);
    const passed = backend.requests - from;
    const seconds = (performance.now() - began) / 1_000;
    const reports = await Promise.all(loads.map((running) => running.stop()));
    console.log(`two sidecars, one limit: ${(passed / seconds).toFixed(1)} of 60 requests a second passed`);
    // What the buckets held when the count began may come on top: the burst, and one request of either proxy.
    expect(passed).toBeLessThanOrEqual(Math.ceil(60 * seconds) + 15 + 2);
    expect(passed / seconds).toBeGreaterThanOrEqual(60 * 0.7);
    for (const { statuses, errors } of reports) {
      expect(errors.size).toBe(0);
      expect([...statuses.keys()].every((status) => status === 200 || status === 429)).toBe(true);
    }
    const limits = await (await request(`${sidecar("echo-v1").admin}/limits`)).body.text();
    expect(limits).toContain("default/shared/all::by::lease\n");
    await remove("RateLimit/shared");
  });
});

/** A VirtualService whose only rule forwards and says `fields` besides. */
function route(fields: string): Promise<void> {
  return apply(virtualService(`    - route: [{ destination: { host: backend } }]\n      ${fields}`));
}

function virtualService(rule: string): string {
  return `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: backend }
spec:
  hosts: [backend]
  http:
${rule}
`;
}

async function apply(...documents: readonly string[]): Promise<void> {
  const file = join(folder, "apply.yaml");
  writeFileSync(file, documents.join("---\n"));
  const applied = await mesh.weft("apply", "--wait", "-f", file);
  expect(applied.code, applied.stdout + applied.stderr).toBe(0);
}

async function remove(resource: string): Promise<void> {
  const removed = await mesh.weft("delete", "--wait", resource);
  expect(removed.code, removed.stdout + removed.stderr).toBe(0);
}

function metric(name: string, metricName: string): Promise<number> {
  return metricSum(`${sidecar(name).admin}/stats/prometheus`, metricName);
}

function sidecar(name: string) {
  return mesh.info().sidecars.find((info) => info.name === name)!;
}

async function ask(from: string, headers: Readonly<Record<string, string>> = {}, method = "GET") {
  const answer = await request(`${sidecar(from).outbound}/`, {
    dispatcher: agent,
    method,
    headers: { host: "backend", ...headers },
  });
  return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() };
}
