import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { SettledView } from "../../common/model/mesh-status.ts";
import type { ControlPlane } from "../../control-plane/app.ts";
import { startControlPlane } from "../../control-plane/app.ts";
import { readControlPlaneSettings } from "../../control-plane/config.ts";
import { createLog } from "../../control-plane/log.ts";
import { decodeText } from "../../control-plane/resources/decode-text.ts";
import type { ProxyApp } from "../../proxy/app.ts";
import { startProxy } from "../../proxy/app.ts";
import { defaultOnDemand } from "../../proxy/outbound/on-demand.ts";
import { startEcho } from "../support/echo-server.ts";
import { proxySettings } from "../support/proxy-resources.ts";
import { resourceYaml, serviceYaml } from "../support/yaml-mesh.ts";

/** A control plane and sidecars in this process, and everything between them over real sockets. */

let folder: string;
let ports: number[];
const stops: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "weft-on-demand-"));
  const servers = [await startEcho("a"), await startEcho("b")];
  for (const server of servers) stops.push(() => server.stop());
  ports = servers.map(({ port }) => port);
});

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
  rmSync(folder, { recursive: true, force: true });
});

const fqdn = (name: string) => `${name}.default.svc.cluster.local`;
const services = () => [
  serviceYaml(fqdn("a"), { v1: ports[0]! }),
  serviceYaml(fqdn("b"), { v1: ports[1]! }),
  serviceYaml("wild.example", { v1: ports[0]! }).replace("[wild.example]", '["*.wild.example"]'),
];
const ruleFor = (name: string, header: string) =>
  resourceYaml(
    "VirtualService",
    name,
    `
hosts: [${name}]
http: [{ headers: { response: { set: { x-rule: ${header} } } }, route: [{ destination: { host: ${name} } }] }]`,
  );

describe("a sidecar that asks on demand", () => {
  it("holds nothing of the mesh until a request names a service, then that one, by whatever name", async () => {
    const plane = await startPlane(...services());
    const proxy = await startSidecar(plane);
    expect(held(proxy)).toEqual(["cluster PassthroughCluster", "virtual-host http_proxy/allow_any"]);
    for (const host of ["a", "a:80", "a.default", "A.Default.svc:80", fqdn("a")])
      expect(await get(proxy, host), host).toEqual([200, "a"]);
    expect(held(proxy)).toEqual([
      "cluster PassthroughCluster",
      `cluster outbound|80||${fqdn("a")}`,
      `endpoints outbound|80||${fqdn("a")}`,
      `virtual-host http_proxy/${fqdn("a")}:80`,
      "virtual-host http_proxy/allow_any",
    ]);
    expect(await get(proxy, "x.wild.example")).toEqual([200, "a"]);
    expect(held(proxy)).toContain("virtual-host http_proxy/*.wild.example:80");
  });

  it("lets a hundred requests that come first share one answer", async () => {
    const plane = await startPlane(...services());
    const proxy = await startSidecar(plane);
    const answers = await Promise.all(Array.from({ length: 100 }, () => get(proxy, "b")));
    expect(new Set(answers.map(String))).toEqual(new Set(["200,b"]));
  });

  it("is sent a changed rule only when it uses the host, and counts as having it in both cases", async () => {
    const plane = await startPlane(...services());
    const proxy = await startSidecar(plane);
    await get(proxy, "a");
    const before = versions(proxy);
    expect(await apply(plane, ruleFor("b", "one"))).toMatchObject({ complete: true, accepted: 1 });
    expect(versions(proxy)).toEqual(before);
    expect(await apply(plane, ruleFor("a", "two"))).toMatchObject({ complete: true, accepted: 1 });
    expect(versions(proxy)).not.toEqual(before);
    expect(await get(proxy, "b")).toEqual([200, "b", "one"]);
    expect(await get(proxy, "a")).toEqual([200, "a", "two"]);
    const statusOf = plane.api.statuses();
    for (const name of ["a", "b"]) {
      const status = statusOf({ kind: "VirtualService", namespace: "default", name });
      expect(status).toMatchObject({ state: "live", programmed: 1, proxies: 1 });
    }
  });

  it("answers by the policy for unknown hosts when nobody knows a host", async () => {
    const plane = await startPlane(...services());
    const any = await startSidecar(plane);
    expect(await get(any, `127.0.0.1:${ports[1]}`)).toEqual([200, "b"]);
    const strict = await startPlane({ outboundTrafficPolicy: "REGISTRY_ONLY" }, ...services());
    const closed = await startSidecar(strict);
    expect(await get(closed, `127.0.0.1:${ports[1]}`)).toEqual([502, ""]);
    expect(await get(closed, "a")).toEqual([200, "a"]);
  });

  it("takes over another policy for unknown hosts, also when what it uses changes at the same time", async () => {
    const plane = await startPlane(...services());
    const proxy = await startSidecar(plane);
    expect(await get(proxy, "a")).toEqual([200, "a"]);
    expect(await get(proxy, `127.0.0.1:${ports[1]}`)).toEqual([200, "b"]);
    const strict = resourceYaml("Sidecar", "default", "outboundTrafficPolicy: { mode: REGISTRY_ONLY }");
    const policy = "trafficPolicy: { connectionPool: { tcp: { maxConnections: 7 } } }";
    const rule = resourceYaml("DestinationRule", "a", `host: ${fqdn("a")}\n${policy}`);
    writeFileSync(join(folder, "config", "strict.yaml"), [strict, rule].join("\n---\n"));
    await until(async () => (await get(proxy, `127.0.0.1:${ports[1]}`))[0] === 502);
    expect(held(proxy).filter((name) => /allow_any|block_all/.test(name))).toEqual([
      "virtual-host http_proxy/block_all",
    ]);
    expect(await get(proxy, "a")).toEqual([200, "a"]);
  });

  // covers Sidecar egress[].hosts[]
  it("is given no more than its Sidecar imports", async () => {
    const scope = resourceYaml("Sidecar", "default", `egress: [{ hosts: ["./${fqdn("a")}"] }]`);
    const plane = await startPlane({ outboundTrafficPolicy: "REGISTRY_ONLY" }, ...services(), scope);
    const proxy = await startSidecar(plane);
    expect(await get(proxy, "a")).toEqual([200, "a"]);
    expect(await get(proxy, "b")).toEqual([502, ""]);
  });

  // covers Sidecar egress[].port.number, egress[].port.protocol, egress[].bind
  it("asks on the ports that its Sidecar opens, too", async () => {
    const port = await freePort();
    const scope = resourceYaml(
      "Sidecar",
      "default",
      `
egress:
- { port: { number: ${port}, name: http, protocol: HTTP }, bind: 127.0.0.1, hosts: ["./*"] }
- { hosts: ["./${fqdn("a")}"] }`,
    );
    const plane = await startPlane(services()[0]!, onPort(services()[1]!, port), scope);
    const proxy = await startSidecar(plane);
    const listener = `127.0.0.1_${port}`;
    expect(await get(proxy, "b", listener)).toEqual([200, "b"]);
    expect(held(proxy)).toContain(`virtual-host ${listener}/${fqdn("b")}:${port}`);
    expect(held(proxy).some((name) => name.includes(fqdn("a")))).toBe(false);
  });

  it("finds a service that comes after it was asked for, and loses one that goes", async () => {
    const plane = await startPlane({ outboundTrafficPolicy: "REGISTRY_ONLY" }, services()[0]!);
    const proxy = await startSidecar(plane);
    expect(await get(proxy, "b")).toEqual([502, ""]);
    writeFileSync(join(folder, "config", "b.yaml"), services()[1]!);
    await until(async () => (await get(proxy, "b"))[0] === 200);
    rmSync(join(folder, "config", "b.yaml"));
    await until(async () => (await get(proxy, "b"))[0] === 502);
    await until(() => !held(proxy).some((name) => name.includes(fqdn("b"))));
  });

  it("serves what it used before a restart, with no control plane, and asks for it before any request does", async () => {
    const plane = await startPlane(...services());
    const state = join(folder, "proxy");
    const first = await startSidecar(plane, { state });
    await get(first, "a");
    await first.stop();
    await plane.stop();
    const alone = await startSidecar(plane, { state });
    expect(await get(alone, "a")).toEqual([200, "a"]);
    const since = performance.now();
    // Only the table is left to ask: allow-any, and nobody listens at the name's own address.
    expect((await get(alone, "b.invalid"))[0]).toBe(503);
    expect(performance.now() - since).toBeLessThan(10_000);
    await alone.stop();
    const again = await startPlane(...services());
    const second = await startSidecar(again, { state });
    await allAcked(again);
    expect(held(second)).toContain(`virtual-host http_proxy/${fqdn("a")}:80`);
    expect(await get(second, "a")).toEqual([200, "a"]);
  });

  it("gives up a service that was long unused, routes before clusters, and asks for it again", async () => {
    const plane = await startPlane(...services());
    const proxy = await startSidecar(plane, {}, 100);
    await get(proxy, "a");
    expect(held(proxy)).toContain(`cluster outbound|80||${fqdn("a")}`);
    await until(() => !held(proxy).some((name) => name.includes(fqdn("a"))));
    expect(await get(proxy, "a")).toEqual([200, "a"]);
  });

  it("gets everything unasked when it is told to hold all", async () => {
    const plane = await startPlane(...services());
    const proxy = await startSidecar(plane, { onDemand: "off" });
    expect(held(proxy)).toContain(`cluster outbound|80||${fqdn("b")}`);
    expect(await get(proxy, "b")).toEqual([200, "b"]);
  });
});

function onPort(service: string, port: number): string {
  return service.replace("number: 80,", `number: ${port},`);
}

async function startPlane(
  ...parts: readonly (string | { readonly outboundTrafficPolicy: string })[]
): Promise<ControlPlane> {
  const config = join(folder, "config");
  rmSync(config, { recursive: true, force: true });
  mkdirSync(config, { recursive: true });
  const texts = parts.filter((part) => typeof part === "string");
  writeFileSync(join(config, "mesh.yaml"), texts.join("\n---\n"));
  const settings = readControlPlaneSettings({
    config: [config],
    xds: "127.0.0.1:0",
    http: "127.0.0.1:0",
    state: mkdtempSync(join(folder, "state-")),
    logLevel: "error",
    ...Object.assign({}, ...parts.filter((part) => typeof part !== "string")),
  });
  if (!settings.ok) throw new Error(JSON.stringify(settings.problems));
  const log = createLog({ level: "error", format: "text" });
  const plane = await startControlPlane(settings.value, { log });
  stops.push(() => plane.stop());
  expect(plane.api.problems().filter(({ severity = "error" }) => severity === "error")).toEqual([]);
  return plane;
}

async function startSidecar(
  plane: ControlPlane,
  options: Parameters<typeof proxySettings>[0] = {},
  idleMs?: number,
): Promise<ProxyApp> {
  const proxy = await startProxy(
    proxySettings(
      {
        controlPlane: `127.0.0.1:${plane.xds.port}`,
        outbound: `127.0.0.1:${await freePort()}`,
        ...options,
      },
      idleMs === undefined ? {} : { onDemand: { ...defaultOnDemand, idleMs } },
    ),
  );
  stops.push(() => proxy.stop());
  await proxy.whenReady();
  return proxy;
}

async function apply(plane: ControlPlane, resource: string): Promise<SettledView> {
  const { resources, problems } = decodeText(resource, "applied.yaml");
  expect(problems).toEqual([]);
  await plane.api.write(resources);
  return plane.api.settled(10_000);
}

/** Status, who answered, and which rule said so. */
async function get(
  proxy: ProxyApp,
  host: string,
  listener = "virtualOutbound",
): Promise<readonly [number, string, ...string[]]> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest({
      host: "127.0.0.1",
      port: proxy.port(listener)!,
      headers: { host },
      agent: false,
    });
    sent.on("error", reject).on("response", async (response) => {
      await text(response);
      const rule = response.headers["x-rule"];
      resolve([
        response.statusCode!,
        String(response.headers["x-served-by"] ?? ""),
        ...(typeof rule === "string" ? [rule] : []),
      ]);
    });
    sent.end();
  });
}

function held(proxy: ProxyApp): string[] {
  const { received } = proxy.config();
  return (["cluster", "endpoints", "virtual-host"] as const).flatMap((type) =>
    [...received[type].keys()].map((name) => `${type} ${name}`).sort(),
  );
}

function versions(proxy: ProxyApp): string[] {
  return Array.from(proxy.config().received["virtual-host"], ([name, { version }]) => `${name} ${version}`);
}

async function allAcked(plane: ControlPlane): Promise<void> {
  await until(() => {
    const proxies = plane.api.proxies({ runs: false });
    return proxies.length > 0 && proxies.every(({ isCurrent }) => isCurrent);
  });
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(10);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
