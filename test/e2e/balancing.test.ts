import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Agent, request } from "undici";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { EchoServer } from "../support/echo-server.ts";
import { startEcho } from "../support/echo-server.ts";
import type { RunningMesh } from "../support/mesh.ts";
import { freePortBase, startMesh } from "../support/mesh.ts";
import { metricSum } from "../support/metrics.ts";

/**
 * How requests find endpoints, from YAML through the control plane's process and a sidecar's: a sidecar in eu/eu-1 calls `ratings`, of
 * which near1 and near2 stand beside it and far in another region. The endpoints live in this process, so that a test can make them ill.
 */
let mesh: RunningMesh;
let folder: string;
let sidecar: ChildProcess;
let outbound: string;
let admin: string;
let apps: Record<"near1" | "near2" | "far", App>;
const agent = new Agent({ connections: 8 });

interface App {
  readonly server: EchoServer;
  /** What a request gets, and what a health check gets. */
  status: number;
  health: number;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "weft-balancing-"));
  mesh = await startMesh("examples/hello/mesh.yaml");
  apps = { near1: await app("near1"), near2: await app("near2"), far: await app("far") };
  await startSidecar();
});

afterEach(async () => {
  for (const one of Object.values(apps)) Object.assign(one, { status: 200, health: 200 });
});

afterAll(async () => {
  if (sidecar?.exitCode === null && sidecar.kill("SIGKILL")) await once(sidecar, "exit");
  await mesh?.stop();
  for (const { server } of Object.values(apps ?? {})) await server.stop();
  await agent.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("active health checks, from YAML to a sidecar's process", () => {
  // covers HealthCheck target.service.host, http.path, http.expectedStatuses[], interval, noTrafficInterval, initialJitter
  // covers HealthCheck unhealthyThreshold, healthyThreshold, timeout, intervalJitter
  it("keep requests near, send them to another region when nobody near is well, and bring them back", async () => {
    await apply(
      service(["near1", "near2", "far"]),
      `
apiVersion: weft.dev/v1alpha1
kind: HealthCheck
metadata: { name: ratings }
spec:
  target: { service: { host: ratings } }
  http: { path: /healthz, expectedStatuses: ["200"] }
  interval: 100ms
  noTrafficInterval: 100ms
  intervalJitter: 20ms
  initialJitter: 0s
  timeout: 100ms
  unhealthyThreshold: 2
  healthyThreshold: 1
`,
    );
    expect(await servers(40)).toEqual(new Set(["near1", "near2"]));
    apps.near1.health = 503;
    await until(async () => (await metric("weft_health_check_healthy")) === 2);
    // Half of the near ones take 70 % of the load, the rest spills over, as in Envoy.
    expect(await servers(60)).toEqual(new Set(["near2", "far"]));
    apps.near2.health = 404;
    await until(async () => (await metric("weft_health_check_healthy")) === 1);
    expect(await servers(40)).toEqual(new Set(["far"]));
    const { body } = await request(`${admin}/clusters`);
    const page = await body.text();
    expect(page).toContain(`127.0.0.1:${apps.near1.server.port}::health_flags::/failed_active_hc\n`);
    expect(page).toContain(`127.0.0.1:${apps.near2.server.port}::health_check_failure::status 404\n`);
    Object.assign(apps.near1, { health: 200 });
    Object.assign(apps.near2, { health: 200 });
    await until(async () => (await metric("weft_health_check_healthy")) === 3);
    expect(await servers(40)).toEqual(new Set(["near1", "near2"]));
    await remove("HealthCheck/ratings");
    await until(async () => (await metric("weft_health_check_attempts_total")) === 0);
  });
});

describe("outlier detection, from YAML to a sidecar's process", () => {
  // covers DestinationRule trafficPolicy.outlierDetection.consecutive5xxErrors, trafficPolicy.outlierDetection.maxEjectionPercent
  // covers DestinationRule trafficPolicy.outlierDetection.interval, trafficPolicy.outlierDetection.baseEjectionTime
  it("orders by nearness without being told to, ejects who fails, and lets it come back", async () => {
    await apply(
      service(["near1", "near2", "far"]),
      rule(
        "outlierDetection: { consecutive5xxErrors: 3, interval: 200ms, baseEjectionTime: 1s, maxEjectionPercent: 100 }",
      ),
    );
    expect(await servers(40)).toEqual(new Set(["near1", "near2"]));
    apps.near1.status = 500;
    apps.near2.status = 503;
    await until(async () => {
      await servers(10);
      return (await metric("weft_outlier_ejections_total")) >= 2;
    });
    await until(async () => (await servers(10)).has("far"));
    Object.assign(apps.near1, { status: 200 });
    Object.assign(apps.near2, { status: 200 });
    await until(async () => (await metric("weft_outlier_ejected")) === 0);
    expect(await servers(40)).toEqual(new Set(["near1", "near2"]));
  });
});

describe("consistent hashing, from YAML to a sidecar's process", () => {
  // covers DestinationRule trafficPolicy.loadBalancer.consistentHash.httpCookie.name, trafficPolicy.loadBalancer.consistentHash.httpCookie.ttl
  // covers DestinationRule trafficPolicy.loadBalancer.consistentHash.httpCookie.path
  // covers DestinationRule trafficPolicy.loadBalancer.consistentHash.httpCookie.attributes[].name, trafficPolicy.loadBalancer.consistentHash.httpCookie.attributes[].value
  // covers DestinationRule trafficPolicy.loadBalancer.localityLbSetting.enabled
  it("gives a cookie with its attributes, and sends who brings it to the same endpoint", async () => {
    await apply(
      service(["near1", "near2", "far"]),
      rule(
        "loadBalancer: { localityLbSetting: { enabled: false }, consistentHash: { httpCookie: { name: session, ttl: 60s, path: /, attributes: [{ name: SameSite, value: Lax }, { name: Secure }] } } }",
      ),
    );
    const first = await until(async () => {
      const answer = await get();
      return answer.cookie !== undefined && answer;
    });
    expect(first.cookie).toMatch(
      /^session=[0-9a-f]{16}; Max-Age=60; Path=\/; SameSite=Lax; Secure; HttpOnly$/,
    );
    const cookie = first.cookie!.split(";")[0]!;
    for (let i = 0; i < 10; i++) expect(await get({ cookie })).toEqual({ by: first.by, cookie: undefined });
    const others = await Promise.all(
      Array.from({ length: 40 }, async (_, i) => (await get({ cookie: `session=user-${i}` })).by),
    );
    expect(new Set(others).size).toBe(3);
  });
});

describe("warm-up, from YAML to a sidecar's process", () => {
  // covers DestinationRule trafficPolicy.loadBalancer.warmup.duration, trafficPolicy.loadBalancer.warmup.minimumPercent
  // covers DestinationRule trafficPolicy.loadBalancer.warmup.aggression
  // covers DestinationRule trafficPolicy.loadBalancer.simple
  it("gives an endpoint that comes little at first, and its share in the end", async () => {
    const warming = rule(
      "loadBalancer: { simple: ROUND_ROBIN, warmup: { duration: 4s, minimumPercent: 5, aggression: 1 } }",
    );
    await apply(service(["near1"]), warming);
    // Nothing shows that an endpoint alone is warm but time.
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    const came = performance.now();
    await apply(service(["near1", "near2"]), warming);
    await until(async () => (await clusterPage()).includes(`127.0.0.1:${apps.near2.server.port}::`));
    const { near2 = 0 } = await counts(100);
    // The first second counts as a whole one. On a busy machine a hundred requests take longer: what it may have by then is the bound.
    const weight = Math.min(1, Math.max(1_000, performance.now() - came) / 4_000);
    expect(near2).toBeLessThanOrEqual((100 * weight) / (1 + weight) + 3);
    await until(async () => ((await counts(40)).near2 ?? 0) >= 19);
    await remove("DestinationRule/ratings");
  });
});

async function app(name: string): Promise<App> {
  const made: App = {
    status: 200,
    health: 200,
    server: await startEcho(name, (incoming, response) => {
      response.statusCode = incoming.url === "/healthz" ? made.health : made.status;
      response.end();
    }),
  };
  return made;
}

/** A sidecar of its own, because those of a local mesh have no place in the world. */
async function startSidecar(): Promise<void> {
  const base = await freePortBase();
  outbound = `http://127.0.0.1:${base + 10}`;
  admin = `http://127.0.0.1:${base + 14}`;
  const options = {
    name: "web",
    locality: "eu/eu-1/a",
    "control-plane": mesh.info().controlPlane.xds,
    outbound: new URL(outbound).host,
    admin: new URL(admin).host,
    state: join(folder, "web"),
    "log-level": "warn",
  };
  const args = Object.entries(options).flatMap(([option, value]) => [`--${option}`, value]);
  sidecar = spawn(process.execPath, ["cli/main.ts", "proxy", ...args], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  await until(async () => {
    const ready = await request(`${admin}/ready`).catch(() => undefined);
    await ready?.body.dump();
    return ready?.statusCode === 200;
  });
}

function service(names: readonly (keyof typeof apps)[]): string {
  const endpoints = names.map((name) => {
    const place = name === "far" ? "us/us-1/a" : "eu/eu-1/a";
    return `    - { address: 127.0.0.1, ports: { http: ${apps[name].server.port} }, locality: ${place} }`;
  });
  return `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ratings }
spec:
  hosts: [ratings.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: HTTP }]
  endpoints:
${endpoints.join("\n")}
`;
}

function rule(policy: string): string {
  return `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: ratings }
spec:
  host: ratings
  trafficPolicy:
    ${policy}
`;
}

async function apply(...texts: readonly string[]): Promise<void> {
  const file = join(folder, "resources.yaml");
  writeFileSync(file, texts.join("---"));
  const applied = await mesh.weft("apply", "--wait", "-f", file);
  expect(applied.code, applied.stdout + applied.stderr).toBe(0);
}

async function remove(resource: string): Promise<void> {
  const deleted = await mesh.weft("delete", "--wait", resource);
  expect(deleted.code, deleted.stdout + deleted.stderr).toBe(0);
}

async function get(headers: Readonly<Record<string, string>> = {}) {
  const answer = await request(`${outbound}/`, {
    dispatcher: agent,
    headers: { host: "ratings", ...headers },
  });
  await answer.body.dump();
  const by = answer.headers["x-served-by"] as string | undefined;
  return { by, cookie: answer.headers["set-cookie"] as string | undefined };
}

async function counts(requests: number): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (let sent = 0; sent < requests; sent++) {
    const { by = "nobody" } = await get();
    found[by] = (found[by] ?? 0) + 1;
  }
  return found;
}

async function servers(requests: number): Promise<Set<string>> {
  return new Set(Object.keys(await counts(requests)));
}

async function clusterPage(): Promise<string> {
  return (await request(`${admin}/clusters`)).body.text();
}

function metric(name: string): Promise<number> {
  return metricSum(`${admin}/stats/prometheus`, name);
}

/** Waits until there is an answer that is not false. */
async function until<T>(ask: () => Promise<T | false>): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (answer !== false) return answer;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
