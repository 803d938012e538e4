import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { request } from "undici";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { CircuitStatus } from "../../proxy/admin/circuit-status.ts";
import { percentile, startLoad } from "../support/load.ts";
import type { RunningMesh } from "../support/mesh.ts";
import { startMesh } from "../support/mesh.ts";

/** What the mesh was conceived for: a service dies, and the pages that show its data still answer, at once. */
let mesh: RunningMesh;
const revived: ChildProcess[] = [];

beforeAll(async () => {
  mesh = await startMesh("examples/shop/mesh.yaml");
});
afterAll(async () => {
  for (const child of revived) {
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  }
  await mesh?.stop();
});

it("answers product pages throughout while every review is dead, without calling it, and comes back by a probe", async () => {
  const applied = await mesh.weft("apply", "--wait", "-f", "examples/shop/scenarios/review-breaker.yaml");
  expect(applied.code, applied.stdout + applied.stderr).toBe(0);
  const page = `${mesh.gatewayUrl}/productms/products/1`;
  expect(await reviewOn(page)).toMatchObject({ servedBy: "review-v1" });

  const running = startLoad({ url: page, concurrency: 4, perSecond: 150 });
  await running.reached(100);
  const killedAt = performance.now();
  for (const { pid, service } of mesh.info().workloads)
    if (service === "review") process.kill(pid!, "SIGKILL");
  await expect.poll(state, { timeout: 15_000, interval: 10 }).toBe("open");
  const openedMs = performance.now() - killedAt;
  // What the mesh says itself has no status, which product adds to answers that were no 200.
  expect(await reviewOn(page)).toEqual({ error: "review not available" });
  const whenOpen = await circuit();
  await running.reached(running.count + 300);
  const later = await circuit();
  expect(later!.shortCircuited).toBeGreaterThan(whenOpen!.shortCircuited);
  // It looked again at least once, and found it dead.
  await expect.poll(async () => (await circuit())?.opened, { timeout: 15_000 }).toBeGreaterThan(1);

  const revivedAt = performance.now();
  for (const workload of mesh.info().workloads) if (workload.service === "review") revive(workload);
  await expect.poll(state, { timeout: 15_000, interval: 10 }).toBe("closed");
  const closedMs = performance.now() - revivedAt;
  expect(await reviewOn(page)).toMatchObject({ servedBy: "review-v1" });
  await running.reached(running.count + 100);
  const report = await running.stop();
  const end = (await circuit())!;
  console.log(
    `review dead under load: ${report.failures.length} of ${report.requests} product pages failed, p99 ${percentile(report, 0.99).toFixed(1)} ms; ` +
      `open after ${Math.round(openedMs)} ms, ${end.shortCircuited} calls held back, ${end.fallbacks} answered by the fallback, ` +
      `closed ${Math.round(closedMs)} ms after review was started again`,
  );
  expect(report.failures).toEqual([]);
  expect([...report.statuses.keys()]).toEqual([200]);
  expect(end.closed).toBe(1);
  const metrics = await (await request(`${productSidecar()}/stats/prometheus`)).body.text();
  expect(metrics).toMatch(/^weft_circuit_breaker_state\{[^}]*breaker="default\/review"[^}]*\} 0$/m);
  expect(metrics).toMatch(/^weft_circuit_breaker_fallback_total\{[^}]*\} [1-9]/m);
});

function productSidecar(): string {
  return mesh.info().sidecars.find(({ name }) => name === "product-v1")!.admin;
}

async function circuit(): Promise<CircuitStatus | undefined> {
  const { body } = await request(`${productSidecar()}/breakers?format=json`);
  const { breakers } = (await body.json()) as { breakers: CircuitStatus[] };
  return breakers.find(({ cluster }) => cluster.includes("|v1|review."));
}

async function state(): Promise<string | undefined> {
  return (await circuit())?.state;
}

async function reviewOn(page: string): Promise<unknown> {
  const { statusCode, body } = await request(page);
  expect(statusCode).toBe(200);
  return ((await body.json()) as { review: unknown }).review;
}

/** `weft up` does not start workloads again, so the test does. */
function revive({ name, app }: { readonly name: string; readonly app: string }): void {
  const env = { ...process.env, PORT: new URL(app).port, VERSION: name.slice("review-".length) };
  revived.push(spawn(process.execPath, ["examples/shop/services/review.ts"], { env, stdio: "ignore" }));
}
