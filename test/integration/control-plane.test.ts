import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../common/base/clock.ts";
import { systemRandom } from "../../common/base/random.ts";
import type { Cluster } from "../../common/model/cluster.ts";
import type { EndpointSet } from "../../common/model/endpoint.ts";
import type { ProxyNode } from "../../common/model/node.ts";
import type { VirtualHost } from "../../common/model/route.ts";
import type { ControlPlane } from "../../control-plane/app.ts";
import { startControlPlane } from "../../control-plane/app.ts";
import type { ControlPlaneSettings } from "../../control-plane/config.ts";
import { createLog } from "../../control-plane/log.ts";
import type { Rejection, ResourceSink, ResourceUpdate } from "../../proxy/xds/resource-update.ts";
import { XdsClient } from "../../proxy/xds/stream.ts";
import { sidecar } from "../support/xds-mesh.ts";

/** The whole control plane in this process, with a real folder, its HTTP API and the proxy's own xDS client over sockets. */

const reviewsHost = "virtual-host http_proxy/reviews.default.svc.cluster.local:80";

const service = (address = "10.0.0.1") => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: reviews }
spec:
  hosts: [reviews.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: HTTP }]
  endpoints: [{ address: ${address}, labels: { version: v1 } }, { address: 10.0.0.2, labels: { version: v2 } }]
`;
const rule = (...subsets: string[]) => `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews }
spec:
  host: reviews
  subsets: [${subsets.map((name) => `{ name: ${name}, labels: { version: ${name} } }`).join(", ")}]
`;
const virtual = (subset: string) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec:
  hosts: [reviews]
  http: [{ route: [{ destination: { host: reviews, subset: ${subset} } }] }]
`;

let folder: string;
let log: string[];
const cleanups: (() => Promise<void>)[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "weft-control-plane-"));
  log = [];
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await rm(folder, { recursive: true, force: true });
});

describe("the control plane", () => {
  it("brings a changed file to the proxies as one virtual host, and says so in one line", async () => {
    await write("mesh.yaml", service(), rule("v1", "v2"), virtual("v1"));
    const plane = await start();
    const { held, updates } = await connect(plane);
    expect(destinations(held)).toEqual(["outbound|80|v1|reviews.default.svc.cluster.local"]);
    updates.length = 0;
    await write("mesh.yaml", service(), rule("v1", "v2"), virtual("v2"));
    await until(() => destinations(held)[0] === "outbound|80|v2|reviews.default.svc.cluster.local");
    expect(updates).toEqual([`+${reviewsHost}`]);
    await until(() =>
      log.some((line) => /VirtualService\/default\/reviews: 1 of 1 proxies ACKed after [\d.]+ ms/.test(line)),
    );
  });

  it("keeps the last good version of a file that turned bad, also over a restart, and says what is wrong where", async () => {
    await write("mesh.yaml", service(), rule("v1"), virtual("v1"));
    const first = await start();
    const { held } = await connect(first);
    await write("mesh.yaml", service(), rule("v1"), virtual("v1").replace("hosts:", "hots:"));
    await until(() => log.some((line) => line.includes("mesh.yaml:") && line.includes("hots")));
    expect(destinations(held)).toEqual(["outbound|80|v1|reviews.default.svc.cluster.local"]);
    await first.stop();

    const second = await start();
    const again = await connect(second);
    expect(destinations(again.held)).toEqual(["outbound|80|v1|reviews.default.svc.cluster.local"]);
    const { resources } = await call(second, "GET", "/resources/VirtualService");
    expect(resources[0]).toMatchObject({ name: "reviews", status: { state: "stale", live: true } });
    const { problems } = await call(second, "GET", "/problems");
    expect(problems).toContainEqual(
      expect.objectContaining({ at: expect.objectContaining({ file: "mesh.yaml" }) }),
    );

    await write("mesh.yaml", service(), rule("v1"));
    await until(() => destinations(again.held)[0] === "outbound|80||reviews.default.svc.cluster.local");
  });

  it("keeps what waits for a subset waiting over a restart", async () => {
    await write("mesh.yaml", service(), rule("v1"), virtual("v1"));
    const first = await start();
    await write("mesh.yaml", service(), rule("v1"), virtual("v2"));
    await until(() => log.some((line) => line.includes("VirtualService/default/reviews waits")));
    await first.drain();
    await first.stop();
    const { held } = await connect(await start());
    expect(destinations(held)).toEqual(["outbound|80|v1|reviews.default.svc.cluster.local"]);
  });

  it("applies over HTTP, waits for the proxies, and keeps what was applied", async () => {
    const plane = await start();
    const { held } = await connect(plane);
    const applied = await call(plane, "POST", "/resources?wait=10000", [
      service(),
      virtual("v2"),
      rule("v1", "v2"),
    ]);
    expect(applied).toMatchObject({
      resources: [
        { kind: "ServiceEntry", result: "created", state: "live" },
        { kind: "VirtualService", result: "created", state: "live" },
        { kind: "DestinationRule", result: "created", state: "live" },
      ],
      problems: [],
      settled: { complete: true, accepted: 1, refused: [], waitingFor: [] },
    });
    expect(destinations(held)).toEqual(["outbound|80|v2|reviews.default.svc.cluster.local"]);
    const one = await call(plane, "GET", "/resources/VirtualService/default/reviews");
    expect(one).toMatchObject({ origin: "state", status: { state: "live", programmed: 1, proxies: 1 } });
    await plane.stop();

    const again = await start({ xds: plane.xds });
    expect((await call(again, "GET", "/resources")).resources).toHaveLength(3);
    const deleted = await call(again, "DELETE", "/resources/virtualservices/default/reviews?wait=10000");
    expect(deleted).toMatchObject({ result: "deleted", settled: { complete: true } });
    expect((await call(again, "GET", "/resources")).resources).toHaveLength(2);
  });

  it("refuses all of a request when one resource in it is invalid, and changes nothing when asked to try", async () => {
    const plane = await start();
    const bad = await call(
      plane,
      "POST",
      "/resources?file=x.yaml",
      [service(), virtual("v1").replace("hosts:", "hots:")],
      400,
    );
    expect(bad.problems).toContainEqual(
      expect.objectContaining({
        at: expect.objectContaining({ file: "x.yaml", line: 16 }),
        path: "spec.hots",
      }),
    );
    const dry = await call(plane, "POST", "/resources?dryRun=true", [service(), virtual("v1")]);
    expect(dry.resources).toMatchObject([{ state: "live" }, { state: "pending" }]);
    expect(dry.problems[0].why).toContain('no DestinationRule defines subset "v1"');
    expect((await call(plane, "GET", "/resources")).resources).toEqual([]);
    expect((await call(plane, "POST", "/resources", ["# nothing"], 400)).problems[0].why).toContain(
      "no resource",
    );
  });

  it("never routes to a cluster that is not there, in whatever order a VirtualService and its DestinationRule come", async () => {
    const plane = await start();
    const { held, dangling } = await connect(plane);
    await call(plane, "POST", "/resources?wait=10000", [service()]);
    for (const [first, second] of [
      [virtual("v2"), rule("v2")],
      [rule("v2", "v1"), virtual("v1")],
      [rule("v1"), virtual("v1")],
      [virtual("v2"), rule("v2")],
    ]) {
      await call(plane, "POST", "/resources", [first!]);
      await call(plane, "POST", "/resources?wait=10000", [second!]);
    }
    expect(destinations(held)).toEqual(["outbound|80|v2|reviews.default.svc.cluster.local"]);
    // The last DestinationRule to come gave v1 up while the VirtualService was still there for it.
    const pending = await call(plane, "POST", "/resources?wait=10000", [rule("v1")]);
    expect(pending.resources).toMatchObject([{ state: "pending" }]);
    expect(pending.problems[0].why).toContain(
      "VirtualService/default/reviews still needs what this change takes away",
    );
    expect(dangling).toEqual([]);
  });

  it("lets an endpoint that left go at once, however long changes are held for others", async () => {
    await write("mesh.yaml", service("10.0.0.1"));
    const plane = await start({ quietMs: 60_000, maxDelayMs: 60_000 });
    const { held } = await connect(plane);
    await write("mesh.yaml", service("10.0.0.9"));
    await until(() => addresses(held).includes("10.0.0.9") && !addresses(held).includes("10.0.0.1"));
  });

  it("covers a file's resource with an applied one, uncovers it, and does not delete files", async () => {
    await write("mesh.yaml", service(), rule("v1", "v2"), virtual("v1"));
    const plane = await start();
    const { held } = await connect(plane);
    const applied = await call(plane, "POST", "/resources?wait=10000", [virtual("v2")]);
    expect(applied.problems[0].why).toMatch(/now covers the one at mesh.yaml:\d+/);
    expect(destinations(held)).toEqual(["outbound|80|v2|reviews.default.svc.cluster.local"]);
    const deleted = await call(plane, "DELETE", "/resources/VirtualService/default/reviews?wait=10000");
    expect(deleted.uncovered).toMatchObject({ file: "mesh.yaml" });
    expect(destinations(held)).toEqual(["outbound|80|v1|reviews.default.svc.cluster.local"]);
    const refused = await call(plane, "DELETE", "/resources/VirtualService/default/reviews", undefined, 409);
    expect(refused.problems[0].why).toMatch(/is not from here but from mesh.yaml:\d+/);
    await call(plane, "DELETE", "/resources/VirtualService/default/nobody", undefined, 404);
    await call(plane, "GET", "/resources/Nonsense", undefined, 404);
  });

  it("says which proxy refused what, and why, and counts it", async () => {
    await write("mesh.yaml", service(), rule("v1", "v2"), virtual("v1"));
    const plane = await start();
    const client = await connect(plane);
    client.refuse = ({ updated }) =>
      [...updated.keys()]
        .filter((name) => name.includes("reviews") && name.startsWith("http_proxy/"))
        .map((name) => ({ name, problems: [{ path: "routes[0]", why: "not today" }] }));
    const applied = await call(plane, "POST", "/resources?wait=10000", [virtual("v2")]);
    expect(applied.settled).toMatchObject({
      complete: true,
      accepted: 0,
      refused: [{ proxy: "ui-v1.default" }],
    });
    const { proxies } = await call(plane, "GET", "/proxies?runs=true");
    expect(proxies[0].types["virtual-host"].lastNack.why).toContain("not today");
    expect(Object.keys(proxies[0].types.cluster.runs)).toContain(
      "outbound|80|v2|reviews.default.svc.cluster.local",
    );
    const one = await call(plane, "GET", "/resources/VirtualService/default/reviews");
    expect(one.status).toMatchObject({ programmed: 0, proxies: 1, refusedBy: ["ui-v1.default"] });
    const metrics = await text(plane, "/metrics");
    expect(metrics).toContain('weft_config_nack_total{type="virtual-host"} 1');
    expect(metrics).toContain('weft_proxies_connected{kind="sidecar"} 1');
    expect(metrics).toMatch(/weft_config_ack_seconds_count 1/);
  });

  it("answers programs on this machine and no web page elsewhere", async () => {
    const plane = await start();
    expect(await statusFor(plane, { host: "evil.example" })).toBe(403);
    expect(await statusFor(plane, { origin: "http://evil.example" })).toBe(403);
    expect(await statusFor(plane, { host: `localhost:${plane.http.port}` })).toBe(200);
    expect(await call(plane, "GET", "/ready")).toEqual({ ready: true, waitingFor: [] });
    await call(plane, "GET", "/nope", undefined, 404);
  });

  it("shows what was applied at its place in the author's file, also after a restart and when it moved there", async () => {
    const plane = await start();
    const { held } = await connect(plane);
    const apply = (to: ControlPlane, text: string) =>
      call(
        to,
        "POST",
        "/resources?wait=10000",
        [
          JSON.stringify({
            files: [
              { file: "mesh/service.yaml", text: service() },
              { file: "mesh/rules.yaml", text },
            ],
          }),
        ],
        200,
        "application/vnd.weft.files+json",
      );
    const place = async (of: ControlPlane) => {
      const [answer] = [await call(of, "POST", "/explain", [JSON.stringify({ url: "http://reviews/" })])];
      const { source } = answer.chosen;
      return `${source.file}:${source.line}`;
    };
    const rules = [rule("v1", "v2"), virtual("v1")].join("---");
    expect(await apply(plane, rules)).toMatchObject({ settled: { complete: true } });
    expect(await place(plane)).toBe("mesh/rules.yaml:14");
    const routes = held.get(reviewsHost) as VirtualHost;
    expect(routes.routes[0]?.source).toMatchObject({ file: "mesh/rules.yaml", line: 14 });
    const one = await call(plane, "GET", "/resources/VirtualService/default/reviews");
    expect(one.source).toMatchObject({ file: "mesh/rules.yaml", line: 9 });

    const moved = await apply(plane, `# one line more\n${rules}`);
    expect(moved.resources.map(({ result }: { result: string }) => result)).toEqual(
      Array(3).fill("unchanged"),
    );
    expect(await place(plane)).toBe("mesh/rules.yaml:15");
    await plane.stop();
    expect(await place(await start())).toBe("mesh/rules.yaml:15");
  });

  it("waits after its restart for the proxies that it knew, and names those that are not back", async () => {
    const first = await start();
    const xds = first.xds;
    await connect(first);
    await until(() => first.api.proxies({ runs: false }).length === 1);
    await first.stop();
    const second = await start({ xds });
    const applied = await call(second, "POST", "/resources?wait=20000", [service()]);
    expect(applied.settled).toMatchObject({ complete: true, accepted: 1, waitingFor: [] });
    for (const cleanup of cleanups.splice(1, 1)) await cleanup();
    await until(() => second.api.proxies({ runs: false }).length === 0);

    const gone = await connect(second);
    await second.stop();
    const third = await start();
    const waited = await call(third, "POST", "/resources?wait=100", [service("10.0.0.7")]);
    expect(waited.settled).toMatchObject({
      complete: false,
      waitingFor: ["ui-v1.default (not back since the control plane's restart)"],
    });
    expect(gone.held.size).toBeGreaterThan(0);
  });

  it("answers strange requests with problems and stays whole", async () => {
    const plane = await start();
    await call(plane, "POST", "/resources", [service()]);
    const ask = async (method: string, path: string, body?: string, type?: string) => {
      const headers = type === undefined ? {} : { "content-type": type };
      const response = await fetch(`http://127.0.0.1:${plane.http.port}${path}`, {
        method,
        headers,
        ...(body === undefined ? {} : { body }),
      });
      const text = await response.text();
      return { status: response.status, problems: (text === "" ? {} : JSON.parse(text)).problems };
    };
    const files = "application/vnd.weft.files+json";
    const deep = "[".repeat(1_000_000);
    const strange: [expected: number, ...Parameters<typeof ask>][] = [
      [400, "POST", "/resources", deep],
      [400, "POST", "/resources", `{"a": ${"[".repeat(50_000)}${"]".repeat(50_000)}}`, "application/json"],
      [400, "POST", "/resources", '{"__proto__": {"kind": "Gateway"}, "kind": "VirtualService"}'],
      [400, "POST", "/resources", "", "image/png"],
      [400, "POST", "/resources", "not json", files],
      [400, "POST", "/resources", '{"files": [{"file": 1}]}', files],
      [400, "POST", "/resources", '{"files": {"length": 1}}', files],
      [400, "POST", "/resources", service().replace("name: reviews", "name: ../../../etc/passwd")],
      [400, "POST", "/resources", service().replace("name: reviews", "name: a, namespace: ../..")],
      [413, "POST", "/resources", "x".repeat(17 * 1024 * 1024)],
      [400, "POST", "/explain", deep],
      [400, "POST", "/explain", "null"],
      [404, "DELETE", "/resources/VirtualService/..%2f..%2f/x"],
      [404, "DELETE", "/resources/VirtualService/default/..%2fServiceEntry%2fdefault.reviews"],
      [404, "DELETE", "/resources/__proto__/default/reviews"],
      [404, "GET", "/resources/VirtualService/default/%00"],
      [400, "GET", "/resources/%zz"],
      [404, "GET", "/"],
      [404, "PUT", "/resources"],
    ];
    for (const [expected, ...request] of strange) {
      const { status, problems } = await ask(...request);
      const what = `${request[0]} ${request[1]} ${request[2]?.slice(0, 60)}`;
      expect([what, status, problems?.[0]?.why]).toEqual([what, expected, expect.any(String)]);
    }
    expect((await ask("HEAD", "/resources")).status).toBe(200);
    expect((await ask("HEAD", "/nope")).status).toBe(404);
    expect((await call(plane, "GET", "/resources")).resources).toHaveLength(1);
  });

  it("lands all of many applies at once, and says when its disk does not take one", async () => {
    const plane = await start();
    const entries = Array.from({ length: 8 }, (_, index) => service().replaceAll("reviews", `s${index}`));
    const answers = await Promise.all(
      entries.map((text) => call(plane, "POST", "/resources?wait=10000", [text])),
    );
    expect(answers.map(({ resources }) => resources[0].state)).toEqual(entries.map(() => "live"));
    expect((await call(plane, "GET", "/resources")).resources).toHaveLength(8);
    // Where the kind's folder should come; root may write everywhere, so permissions would not stop it.
    await writeFile(join(folder, ".state", "resources", "VirtualService"), "");
    const failed = await call(plane, "POST", "/resources", [service("10.0.0.9"), virtual("v1")], 500);
    expect(failed.problems[0].why).toMatch(
      /^the state folder .* cannot be written: .*; nothing was changed$/,
    );
    expect((await call(plane, "GET", "/resources")).resources).toHaveLength(8);
  });

  it("explains which rule takes a request, and which rules a proxy was not given", async () => {
    const scoped = virtual("v2").replace("http: [{", "http: [{ match: [{ sourceLabels: { app: ui } }],");
    await write("mesh.yaml", service(), rule("v1", "v2"), scoped);
    const plane = await start();
    const url = "http://reviews/";
    const [forUi] = [await call(plane, "POST", "/explain", [JSON.stringify({ url, labels: { app: "ui" } })])];
    expect(forUi.outcome).toBe(
      "route default forwards to outbound|80|v2|reviews.default.svc.cluster.local (100 %)",
    );
    expect(forUi.chosen.source).toMatchObject({ file: "mesh.yaml", name: "reviews" });
    const other = await call(plane, "POST", "/explain", [JSON.stringify({ url, labels: { app: "cart" } })]);
    expect(other.outcome).toContain("outbound|80||reviews.default.svc.cluster.local");
    expect(other.leftOut[0].why).toBe("it is for callers with the label app=ui, and this one has app=cart");
    const gateway = await call(plane, "POST", "/explain", [JSON.stringify({ url, kind: "gateway" })], 400);
    expect(gateway.problems[0].why).toContain("no Gateway selects these labels");
    await call(plane, "POST", "/explain", ["nonsense"], 400);
    await call(plane, "POST", "/explain", [JSON.stringify({ url: 1, labels: { app: {} } })], 400);
  });

  it("says which port is taken, and leaves nothing open", async () => {
    const plane = await start();
    await expect(start({ http: plane.http })).rejects.toThrow(
      `cannot listen on 127.0.0.1:${plane.http.port} (--http)`,
    );
    await expect(start({ xds: plane.xds })).rejects.toThrow(
      `cannot listen on 127.0.0.1:${plane.xds.port} (--xds)`,
    );
  });
});

async function write(name: string, ...documents: readonly string[]): Promise<void> {
  await writeFile(join(folder, name), documents.join("---"));
}

async function start(changed: Partial<ControlPlaneSettings> = {}): Promise<ControlPlane> {
  const settings: ControlPlaneSettings = {
    config: [folder],
    xds: { host: "127.0.0.1", port: 0 },
    http: { host: "127.0.0.1", port: 0 },
    state: join(folder, ".state"),
    logLevel: "debug",
    logFormat: "text",
    quietMs: 10,
    maxDelayMs: 100,
    ...changed,
  };
  const plane = await startControlPlane(settings, {
    log: createLog({ level: "debug", format: "text" }, (line) => log.push(line)),
  });
  cleanups.push(() => plane.stop());
  return plane;
}

class Recorder implements ResourceSink {
  /** Such as `+cluster a`, in the order of arrival. */
  readonly updates: string[] = [];
  readonly held = new Map<string, unknown>();
  /** Routes that named a cluster which was not there when they came. */
  readonly dangling: string[] = [];
  refuse: (update: ResourceUpdate) => readonly Rejection[] = () => [];

  apply(update: ResourceUpdate): readonly Rejection[] {
    const refused = this.refuse(update);
    for (const [name, { value }] of update.updated) {
      this.updates.push(`+${update.type} ${name}`);
      if (!refused.some((rejection) => rejection.name === name))
        this.held.set(`${update.type} ${name}`, value);
    }
    for (const name of update.removed) {
      this.updates.push(`-${update.type} ${name}`);
      this.held.delete(`${update.type} ${name}`);
    }
    for (const cluster of destinations(this.held))
      if (!this.held.has(`cluster ${cluster}`)) this.dangling.push(cluster);
    return refused;
  }
}

async function connect(plane: ControlPlane): Promise<Recorder> {
  const sink = new Recorder();
  const node: ProxyNode = {
    ...sidecar("ui-v1"),
    bindings: { outbound: { host: "127.0.0.1", port: 15_001 }, servers: new Map() },
  };
  const parts = { servers: [plane.xds], node, version: "test", sink };
  const client = new XdsClient({ ...parts, clock: systemClock, random: systemRandom });
  client.start();
  cleanups.push(() => client.stop());
  await until(() => sink.held.has("virtual-host http_proxy/allow_any"));
  const isCurrent = ({ isCurrent }: { isCurrent: boolean }) => isCurrent;
  await until(() => plane.api.proxies({ runs: false }).some(isCurrent));
  return sink;
}

function destinations(held: ReadonlyMap<string, unknown>): string[] {
  const host = held.get(reviewsHost) as VirtualHost | undefined;
  return (host?.routes ?? []).flatMap(({ action }) =>
    action.kind === "forward" ? action.destinations.map(({ destination }) => destination) : [],
  );
}

function addresses(held: ReadonlyMap<string, unknown>): string[] {
  const set = held.get("endpoints outbound|80||reviews.default.svc.cluster.local") as EndpointSet | undefined;
  const cluster = held.get("cluster outbound|80||reviews.default.svc.cluster.local") as Cluster | undefined;
  expect(cluster?.discovery.kind).toBe("eds");
  return (set?.endpoints ?? []).map(({ address }) => address);
}

async function until(condition: () => boolean): Promise<void> {
  await expect.poll(condition, { timeout: 15_000, interval: 5 }).toBe(true);
}

// biome-ignore lint/suspicious/noExplicitAny: answers are JSON that the tests look into
type Answer = any;

async function call(
  plane: ControlPlane,
  method: string,
  path: string,
  documents?: readonly string[],
  status = 200,
  type = "text/yaml",
): Promise<Answer> {
  const body =
    documents === undefined ? {} : { body: documents.join("---"), headers: { "content-type": type } };
  const response = await fetch(`http://127.0.0.1:${plane.http.port}${path}`, { method, ...body });
  const answer = await response.json();
  expect({ status: response.status, answer }).toMatchObject({ status });
  return answer;
}

async function text(plane: ControlPlane, path: string): Promise<string> {
  return (await fetch(`http://127.0.0.1:${plane.http.port}${path}`)).text();
}

/** fetch sets Host itself, so this speaks with node:http. */
function statusFor(plane: ControlPlane, headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port: plane.http.port, path: "/ready", headers };
    httpRequest(options, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on("error", reject)
      .end();
  });
}
