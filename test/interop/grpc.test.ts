import type { handleUnaryCall, ServiceError } from "@grpc/grpc-js";
import { Client, credentials, Metadata, Server, ServerCredentials } from "@grpc/grpc-js";
import { register } from "@grpc/grpc-js-xds";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { systemClock } from "../../common/base/clock.ts";
import type { ForwardAction, Route, VirtualHost } from "../../common/model/route.ts";
import { noHeaderOperations } from "../../common/model/route.ts";
import { encodeCluster } from "../../common/xds/cluster.ts";
import type { ResourceSet } from "../../common/xds/encoded-resource.ts";
import { encodedResource } from "../../common/xds/encoded-resource.ts";
import { encodeEndpoints } from "../../common/xds/endpoint.ts";
import messages from "../../common/xds/generated/messages.js";
import { encodeRouteConfiguration, encodeVirtualHost } from "../../common/xds/route.ts";
import { typeUrl } from "../../common/xds/type-url.ts";
import { packAny } from "../../common/xds/wire.ts";
import { XdsServer } from "../../control-plane/serve/server.ts";
import { edsCluster, endpoint, routeTo } from "../support/xds-mesh.ts";

/** A real gRPC client as data plane of our control plane: @grpc/grpc-js-xds asks, obeys and answers without a proxy. */

const path = "/shop.Shop/Buy";
const identity = (bytes: Buffer) => bytes;

async function startBackend(name: string) {
  const server = new Server();
  const buy: handleUnaryCall<Buffer, Buffer> = (_call, done) => done(null, Buffer.from(name));
  const method = { path, requestStream: false, responseStream: false } as const;
  const codec = {
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  };
  server.addService({ Buy: { ...method, ...codec } }, { Buy: buy });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return { port, stop: () => server.forceShutdown() };
}

/** What gRPC wants of LDS: a listener without an address, whose name is the channel's target. */
function apiListener(name: string): Uint8Array {
  const { HttpConnectionManager } = messages.envoy.extensions.filters.network.http_connection_manager.v3;
  const { Router } = messages.envoy.extensions.filters.http.router.v3;
  const router = packAny("envoy.extensions.filters.http.router.v3.Router", Router, {});
  const manager = packAny(
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    HttpConnectionManager,
    {
      statPrefix: name,
      rds: { routeConfigName: "http_proxy", configSource: { ads: {}, resourceApiVersion: 2 } },
      httpFilters: [{ name: "router", typedConfig: router }],
    },
  );
  return messages.envoy.config.listener.v3.Listener.encode({
    name,
    apiListener: { apiListener: manager },
  }).finish();
}

function shop(ports: Readonly<Record<string, number>>, routes: readonly Route[]): ResourceSet {
  const names = Object.keys(ports);
  const host: VirtualHost = { name: "shop.example", domains: ["shop.example"], routes };
  const resources = {
    cluster: names.map((name) => encodedResource(name, encodeCluster(edsCluster(name)))),
    endpoints: names.map((name) =>
      encodedResource(
        name,
        encodeEndpoints({ cluster: name, endpoints: [endpoint("127.0.0.1", ports[name]!)] }),
      ),
    ),
    listener: [encodedResource("shop.example", apiListener("shop.example"))],
    "route-configuration": [
      encodedResource(
        "http_proxy",
        encodeRouteConfiguration({ name: "http_proxy", virtualHosts: [], vhds: true }),
      ),
    ],
    "virtual-host": [encodedResource("http_proxy/shop.example", encodeVirtualHost(host))],
  };
  return new Map(
    Object.entries(resources).map(([kind, list]) => [
      typeUrl[kind as keyof typeof typeUrl],
      new Map(list.map((resource) => [resource.name, resource])),
    ]),
  );
}

describe("a gRPC client", () => {
  const nacks: string[] = [];
  let backends: Awaited<ReturnType<typeof startBackend>>[] = [];
  let resources: ResourceSet;
  let server: XdsServer;
  let client: Client;

  const buy = (headers: Record<string, string> = {}) =>
    new Promise<string>((resolve, reject) => {
      const metadata = new Metadata({ waitForReady: true });
      for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
      const done = (error: ServiceError | null, reply?: Buffer) =>
        error ? reject(error) : resolve(String(reply));
      client.makeUnaryRequest(
        path,
        identity,
        identity,
        Buffer.alloc(0),
        metadata,
        { deadline: systemClock.now() + 10_000 },
        done,
      );
    });

  beforeAll(async () => {
    backends = [await startBackend("v1"), await startBackend("v2")];
    const ports = { v1: backends[0]!.port, v2: backends[1]!.port };
    const forUser: Route = {
      ...routeTo("v2"),
      match: {
        path: { kind: "exact", value: path, ignoreCase: false },
        headers: [{ name: "user", match: { kind: "exact", value: "jason" }, invert: false }],
        queryParams: [],
      },
    };
    const nobody: Route = {
      ...routeTo("v1"),
      match: { ...forUser.match, headers: [{ name: "blocked", invert: false }] },
      fault: { abort: { fraction: 1, grpcStatus: "PERMISSION_DENIED" } },
    };
    resources = shop(ports, [nobody, forUser, routeTo("v1")]);
    const source = { resourcesFor: () => resources };
    const nacked = (_: unknown, kind: string, { why }: { why: string }) => nacks.push(`${kind}: ${why}`);
    server = new XdsServer({ source, clock: systemClock, version: "v1", events: { nacked } });
    const { port } = await server.listen({ host: "127.0.0.1", port: 0 });
    const bootstrap = {
      xds_servers: [{ server_uri: `127.0.0.1:${port}`, channel_creds: [{ type: "insecure" }] }],
      node: { id: "grpc", locality: {} },
    };
    vi.stubEnv("GRPC_XDS_BOOTSTRAP_CONFIG", JSON.stringify(bootstrap));
    register();
    client = new Client("xds:///shop.example", credentials.createInsecure());
  });

  afterAll(async () => {
    client?.close();
    await server?.stop();
    for (const backend of backends) backend.stop();
    vi.unstubAllEnvs();
  });

  it("accepts everything and routes by it", async () => {
    expect(await buy()).toBe("v1");
    expect(await buy({ user: "jason" })).toBe("v2");
    expect(nacks).toEqual([]);
    const [proxy] = server.proxies();
    expect(proxy).toMatchObject({ client: "grpc", protocol: "sotw", node: { id: "grpc", name: "grpc" } });
    expect([...(proxy?.types.get("route-configuration")?.runs.keys() ?? [])]).toEqual(["http_proxy"]);
  });

  it("follows a change of weights", async () => {
    const ports = { v1: backends[0]!.port, v2: backends[1]!.port };
    const [to] = (routeTo("v2").action as ForwardAction).destinations;
    const split: Route = {
      ...routeTo("v1"),
      action: {
        kind: "forward",
        mirrors: [],
        destinations: [
          { ...to!, destination: "v1", weight: 1 },
          { ...to!, weight: 99, requestHeaders: noHeaderOperations },
        ],
      },
    };
    resources = shop(ports, [split]);
    server.push("v2");
    const outcome = await server.whenAcked("v2");
    expect(outcome.proxies.map(({ result }) => result)).toEqual(["accepted"]);
    await expect
      .poll(
        async () =>
          (await Promise.all(Array.from({ length: 20 }, () => buy()))).filter((name) => name === "v2").length,
        { timeout: 10_000 },
      )
      .toBeGreaterThan(10);
    expect(nacks).toEqual([]);
  });
});
