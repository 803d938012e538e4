import { request } from "undici";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { load, percentile, startLoad } from "../support/load.ts";
import type { RunningMesh } from "../support/mesh.ts";
import { startMesh } from "../support/mesh.ts";
import { metricSum } from "../support/metrics.ts";

/**
 * The main job over real sockets and processes: what `npm start` runs, its rules changed while traffic flows. Each test begins
 * with everything at v1.
 */
let mesh: RunningMesh;
let products: string;

beforeAll(async () => {
  mesh = await startMesh("examples/shop/mesh.yaml");
  products = `${mesh.gatewayUrl}/productms/products`;
});
afterAll(() => mesh?.stop());
beforeEach(() => apply("reset"));

describe("the shop", () => {
  it("answers every path of the gateway from the service behind it", async () => {
    for (const [path, servedBy] of [
      ["/ui/", "ui-v1"],
      ["/productms/products", "product-v1"],
      ["/productms/products/1", "product-v1"],
    ]) {
      const response = await request(mesh.gatewayUrl + path);
      await response.body.dump();
      expect([path, response.statusCode, response.headers["x-served-by"]]).toEqual([path, 200, servedBy]);
    }
    const home = await request(mesh.gatewayUrl);
    await home.body.dump();
    expect([home.statusCode, home.headers["location"]]).toEqual([302, `${mesh.gatewayUrl}/ui/`]);
  });

  it("sells: sign in, fill the cart, order, with payment and customer called through the mesh", async () => {
    const signedIn = await post("/auth/login", { user: "X", password: "x" });
    expect(signedIn.status).toBe(200);
    const authorization = `Bearer ${String(signedIn.json["token"])}`;
    const put = await post("/cart/items", { productId: 1, quantity: 2 }, { authorization });
    expect(put.status).toBeLessThan(300);
    const ordered = await post(
      "/order/orders",
      { items: [{ productId: 1, quantity: 2 }] },
      { authorization },
    );
    expect(ordered.status, JSON.stringify(ordered.json)).toBeLessThan(300);
    expect(JSON.stringify(ordered.json)).toMatch(/payment-v1/);
  });
});

describe("a scenario", () => {
  it("shift-10-90 sends 10 % of 10,000 requests to v2, give or take 1 %", async () => {
    await apply("shift-10-90");
    const report = await load({ url: products, requests: 10_000, concurrency: 16 });
    const share = (report.servedBy.get("product-v2") ?? 0) / report.requests;
    console.log(`shift-10-90: ${(share * 100).toFixed(2)} % of ${report.requests} requests went to v2`);
    expect(report.failures).toEqual([]);
    expect(report.servedBy.get("product-v1")! + report.servedBy.get("product-v2")!).toBe(10_000);
    expect(Math.abs(share - 0.1)).toBeLessThan(0.01);
  });

  it("ab-user gives v2 to user X alone, exactly", async () => {
    await apply("ab-user");
    const [userX, userY, nobody] = await Promise.all([
      load({ url: products, requests: 300, headers: { "end-user": "X" } }),
      load({ url: products, requests: 300, headers: { "end-user": "XY" } }),
      load({ url: products, requests: 300 }),
    ]);
    expect([...userX.servedBy]).toEqual([["product-v2", 300]]);
    expect([...userY.servedBy]).toEqual([["product-v1", 300]]);
    expect([...nobody.servedBy]).toEqual([["product-v1", 300]]);
  });

  it("blue-green switches everything at once and back, without one failed request under load", async () => {
    const running = startLoad({ url: products, concurrency: 8 });
    await running.reached(500);
    for (const [scenario, version] of [
      ["blue-green", "product-v2"],
      ["reset", "product-v1"],
      ["blue-green", "product-v2"],
    ] as const) {
      await apply(scenario);
      const after = await load({ url: products, requests: 200 });
      expect([...after.servedBy], `after ${scenario}`).toEqual([[version, 200]]);
    }
    const report = await running.stop();
    console.log(`blue-green: ${report.requests} requests under load, ${report.failures.length} failed`);
    expect(report.failures).toEqual([]);
    expect(report.servedBy.size).toBe(2);
  });

  it("mirror copies every request to v2 while v1 answers them all", async () => {
    const before = await inboundRequests("product-v2");
    await apply("mirror");
    const report = await load({ url: products, requests: 500 });
    expect([...report.servedBy]).toEqual([["product-v1", 500]]);
    await expect
      .poll(async () => (await inboundRequests("product-v2")) - before, { timeout: 10_000 })
      .toBe(500);
  });

  it("fault-delay holds every request back for 2 s", async () => {
    await apply("fault-delay");
    const report = await load({ url: products, requests: 20, concurrency: 20 });
    console.log(`fault-delay: p50 ${Math.round(percentile(report, 0.5))} ms`);
    expect(report.failures).toEqual([]);
    expect(report.latencies[0]).toBeGreaterThanOrEqual(1995);
    expect(percentile(report, 0.5)).toBeLessThan(4000);
  });

  it("fault-abort fails 10 % of 5,000 requests with 503, give or take 2 %, marked FI", async () => {
    const before = await injectedFaults();
    await apply("fault-abort");
    const report = await load({ url: products, requests: 5_000 });
    const aborted = report.statuses.get(503) ?? 0;
    console.log(`fault-abort: ${aborted} of 5000 aborted`);
    expect(Math.abs(aborted / 5_000 - 0.1)).toBeLessThan(0.02);
    expect([...report.statuses.keys()].sort()).toEqual([200, 503]);
    expect((await injectedFaults()) - before).toBe(aborted);
  });

  it("fails no request but those it injects, while every scenario is applied under load", async () => {
    const before = await injectedFaults();
    const running = startLoad({ url: products, concurrency: 8 });
    for (const scenario of [
      "shift-10-90",
      "ab-user",
      "blue-green",
      "mirror",
      "review-stars",
      "fault-abort",
      "reset",
    ]) {
      await apply(scenario);
      await running.reached(running.count + 300);
    }
    const report = await running.stop();
    const injected = (await injectedFaults()) - before;
    console.log(
      `seven scenarios under load: ${report.requests} requests, ${injected} faults injected, ${report.failures.length} failed`,
    );
    expect(report.failures.filter(({ what }) => what !== "status 503")).toEqual([]);
    expect(report.failures.length).toBe(injected);
    expect(injected).toBeGreaterThan(0);
  });
});

describe("an app in local mode", () => {
  it("reaches the mesh by Host header, by absolute-form request and by path prefix", async () => {
    const outbound = mesh.info().sidecars.find(({ name }) => name === "order-v1")!.outbound;
    const byHost = await request(`${outbound}/productms/products`, { headers: { host: "product:9080" } });
    const byPath = await request(`${outbound}/api/product/products`);
    const byProxy = await absoluteForm(outbound, "http://product:9080/productms/products");
    expect([byHost.headers["x-served-by"], byPath.headers["x-served-by"]]).toEqual([
      "product-v1",
      "product-v1",
    ]);
    expect(byProxy).toContain("x-served-by: product-v1");
    await Promise.all([byHost.body.dump(), byPath.body.dump()]);
  });
});

describe("the command", () => {
  it("explains which rule takes a request, from which line, and why the others lost", async () => {
    await apply("ab-user");
    const { code, stdout } = await mesh.weft(
      "explain",
      "GET",
      "http://product:9080/productms/products",
      "-H",
      "end-user: Y",
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/others-to-v1/);
    expect(stdout).toMatch(/outbound\|9080\|v1\|product\.default\.svc\.cluster\.local/);
    expect(stdout).toMatch(/user-x-to-v2.*\n?.*end-user is "Y", wanted exact "X"/);
    expect(stdout).toMatch(/VirtualService\/default\/product.*:\d+/);
  });

  it("writes the route's resource and line into the gateway's access log", async () => {
    await apply("ab-user");
    await load({ url: products, requests: 1, headers: { "end-user": "X" } });
    await mesh.logged(/user-x-to-v2/);
    expect(mesh.log()).toMatch(/VirtualService\/default\/product/);
  });

  it("shows every proxy with its last ACK, and each resource as programmed everywhere", async () => {
    const { code, stdout } = await mesh.weft("status");
    expect(code).toBe(0);
    for (const { name } of mesh.info().sidecars) expect(stdout).toContain(name);
    const get = await mesh.weft("get", "VirtualService");
    expect(get.stdout).toMatch(/VirtualService\/default\/product\b.*\b(\d+)\/\1\b/);
  });
});

async function apply(scenario: string): Promise<void> {
  const { code, stdout, stderr } = await mesh.weft(
    "apply",
    "--wait",
    "-f",
    `examples/shop/scenarios/${scenario}.yaml`,
  );
  expect(code, `${stdout}${stderr}`).toBe(0);
}

async function post(
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<{ status: number; json: Record<string, unknown> }> {
  const response = await request(mesh.gatewayUrl + path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  return { status: response.statusCode, json: (await response.body.json()) as Record<string, unknown> };
}

async function inboundRequests(workload: string): Promise<number> {
  const { admin } = mesh.info().sidecars.find(({ name }) => name === workload)!;
  return metricSum(`${admin}/stats/prometheus`, "istio_requests_total", { reporter: "destination" });
}

function injectedFaults(): Promise<number> {
  return metricSum(`${mesh.info().gateways[0]!.admin}/stats/prometheus`, "istio_requests_total", {
    response_flags: "FI",
  });
}

/** A request as an HTTP_PROXY client sends it: the whole URL in the request line. Answers with the raw response. */
async function absoluteForm(proxy: string, url: string): Promise<string> {
  const { connect } = await import("node:net");
  const { hostname, port } = new URL(proxy);
  const socket = connect(Number(port), hostname);
  socket.end(`GET ${url} HTTP/1.1\r\nHost: ignored.example\r\nConnection: close\r\n\r\n`);
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  return text;
}
