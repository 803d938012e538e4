import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { request } from "undici";
import { afterAll, beforeAll, expect, it } from "vitest";
import { load } from "../support/load.ts";
import type { RunningMesh } from "../support/mesh.ts";
import { startMesh } from "../support/mesh.ts";

/** Limits over real processes and sockets: at the gateway by user, beside the workload for all together. */
let mesh: RunningMesh;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "weft-limits-"));
  mesh = await startMesh("examples/hello/mesh.yaml");
});
afterAll(async () => {
  await mesh?.stop();
  rmSync(folder, { recursive: true, force: true });
});

it("lets each user's burst and rate through the gateway, and tells the rest to come again", async () => {
  await apply("gateway: { name: hello }", "[{ header: end-user }]", "{ requests: 20, per: 1s, burst: 40 }");
  const url = `${mesh.gatewayUrl}/`;
  const users = ["mara", "jonas"];
  const send = (requests: number, perSecond: number) =>
    Promise.all(users.map((user) => load({ url, headers: { "end-user": user }, requests, perSecond })));
  const began = performance.now();
  // More than the bucket holds, so that none of what comes back finds it full when the machine lets the clients wait.
  const first = await send(60, 1_000);
  const later = await send(240, 150);
  const allowed = 40 + (20 * (performance.now() - began)) / 1000;
  for (const [index, user] of users.entries()) {
    const [burst, rate] = [first[index]!, later[index]!];
    const passed = [burst, rate].map(({ statuses }) => statuses.get(200) ?? 0) as [number, number];
    console.log(`rate limit: ${passed.join(" + ")} of ${user} passed, ${allowed.toFixed(1)} are allowed`);
    expect(passed[0]).toBeGreaterThanOrEqual(40);
    expect(passed[0] + passed[1]).toBeLessThanOrEqual(Math.ceil(allowed));
    expect(passed[1]).toBeGreaterThanOrEqual(Math.floor((20 * rate.durationMs * 0.8) / 1000));
    for (const { statuses, errors, requests } of [burst, rate]) {
      expect(errors.size).toBe(0);
      expect((statuses.get(200) ?? 0) + (statuses.get(429) ?? 0)).toBe(requests);
    }
  }
  const refused = await request(url, { headers: { "end-user": "mara" } });
  await refused.body.dump();
  if (refused.statusCode === 429) expect(refused.headers["retry-after"]).toBe("1");
  expect(refused.headers["ratelimit-policy"]).toBe('"default/limit/only";q=40;w=2');
  expect(refused.headers["ratelimit"]).toMatch(/^"default\/limit\/only";r=\d+;t=\d$/);
});

it("counts beside the workload, whoever calls, and stops when the limit is deleted", async () => {
  await apply("workloads: {}", "[]", "{ requests: 1, per: 1h, burst: 5 }");
  const limited = await load({ url: `${mesh.gatewayUrl}/`, requests: 20 });
  expect([limited.statuses.get(200), limited.statuses.get(429)]).toEqual([5, 15]);
  const sidecar = mesh.info().sidecars.find(({ name }) => name === "echo-v1")!;
  const metrics = await (await request(`${sidecar.admin}/stats/prometheus`)).body.text();
  expect(metrics).toContain('weft_rate_limit_requests_total{limit="default/limit/only",result="limited"} 15');
  const deleted = await mesh.weft("delete", "--wait", "RateLimit/limit");
  expect(deleted.code, deleted.stdout + deleted.stderr).toBe(0);
  const free = await load({ url: `${mesh.gatewayUrl}/`, requests: 20 });
  expect(free.statuses.get(200)).toBe(20);
});

async function apply(target: string, key: string, limit: string): Promise<void> {
  const file = join(folder, "limit.yaml");
  const spec = `{ target: { ${target} }, rules: [{ name: only, key: ${key}, limit: ${limit} }] }`;
  const head = "apiVersion: weft.dev/v1alpha1\nkind: RateLimit\nmetadata: { name: limit }\n";
  writeFileSync(file, `${head}spec: ${spec}\n`);
  const applied = await mesh.weft("apply", "--wait", "-f", file);
  expect(applied.code, applied.stdout + applied.stderr).toBe(0);
}
