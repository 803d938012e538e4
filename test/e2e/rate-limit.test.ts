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
  const [mara, jonas] = await Promise.all(
    ["mara", "jonas"].map((user) =>
      load({ url, headers: { "end-user": user }, requests: 300, perSecond: 150 }),
    ),
  );
  for (const report of [mara!, jonas!]) {
    const passed = report.statuses.get(200) ?? 0;
    const allowed = 40 + (20 * report.durationMs) / 1000;
    console.log(`rate limit: ${passed} of ${report.requests} passed, ${allowed.toFixed(1)} are allowed`);
    expect(passed).toBeLessThanOrEqual(Math.ceil(allowed));
    // A loaded machine sends late, never early: at least what the bucket held, and most of what came back.
    expect(passed).toBeGreaterThanOrEqual(Math.floor(Math.min(allowed, report.requests) * 0.8));
    expect(passed + (report.statuses.get(429) ?? 0)).toBe(report.requests);
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
