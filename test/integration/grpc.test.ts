import { once } from "node:events";
import { status } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import type { ProxyApp } from "../../proxy/app.ts";
import type { GrpcApp } from "../support/grpc-app.ts";
import { GrpcClient, startGrpcApp } from "../support/grpc-app.ts";
import { sceneOfEachTest } from "../support/scene.ts";
import { onlyPort, resourceYaml } from "../support/yaml-mesh.ts";

/** gRPC from a real client through two sidecars to a real server, and what the mesh adds on the way. */

const { after, meshOf } = sceneOfEachTest();

const host = "echo.test";

interface Call {
  readonly app: GrpcApp;
  readonly client: GrpcClient;
  readonly sidecar: ProxyApp;
  readonly inbound: ProxyApp;
  apply(...texts: readonly string[]): Promise<void>;
}

/** A client's sidecar, a server's sidecar, and both apps. */
async function startCall(...resources: readonly string[]): Promise<Call> {
  const app = await startGrpcApp();
  after(() => app.stop());
  const mesh = await meshOf(serviceYaml(1));
  const inbound = await mesh.proxy({
    name: "echo",
    admin: "127.0.0.1:0",
    labels: "app=echo",
    inbound: "127.0.0.2:1",
    app: `127.0.0.1:${app.port}`,
  });
  const service = serviceYaml(inbound.port("virtualInbound")!);
  await mesh.apply(service, ...resources);
  const sidecar = await mesh.proxy({ name: "web", admin: "127.0.0.1:0" });
  const client = new GrpcClient(onlyPort(sidecar), host);
  after(() => client.stop());
  return { app, client, sidecar, inbound, apply: (...texts) => mesh.apply(service, ...texts) };
}

function serviceYaml(port: number, protocol = "GRPC"): string {
  return resourceYaml(
    "ServiceEntry",
    "echo",
    `
hosts: [${host}]
location: MESH_INTERNAL
ports: [{ number: 80, name: main, protocol: ${protocol} }]
resolution: STATIC
endpoints:
- { address: 127.0.0.2, ports: { main: ${port} }, labels: { app: echo } }`,
  );
}

function rule(http: string): string {
  return resourceYaml("VirtualService", "echo", `hosts: [${host}]\nhttp:\n${http}`);
}

async function metricsOf(proxy: ProxyApp): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${proxy.admin!.port}/stats/prometheus`);
  return response.text();
}

describe("a gRPC call through two sidecars", () => {
  // covers ServiceEntry ports[].protocol
  it("is carried in each of its four kinds, with metadata and trailers", async () => {
    const { client, app } = await startCall();
    const said = await client.say("hello", { metadata: { "x-test": "a" } });
    expect([said.code, said.text, said.trailers?.get("x-trailer")]).toEqual([
      status.OK,
      "you said hello",
      ["behind"],
    ]);
    expect(app.calls[0]!.metadata.get("x-test")).toEqual(["a"]);
    expect(await client.count(100)).toEqual(Array.from({ length: 100 }, (_, i) => String(i + 1)));
    expect((await client.gather(["a", "b", "c"])).text).toBe("a+b+c");
    const chat = client.chat();
    for (const word of ["one", "two"]) {
      chat.write(word);
      expect((await once(chat, "data"))[0]).toBe(`re: ${word}`);
    }
    chat.end();
    chat.resume();
    const [end] = (await once(chat, "status")) as [{ code: number }];
    expect(end.code).toBe(status.OK);
  });

  it("ends with the server's own status, also in the middle of a stream", async () => {
    const { client, app } = await startCall();
    app.failures.push(status.NOT_FOUND);
    const failed = await client.say("hello");
    expect([failed.code, failed.details]).toEqual([status.NOT_FOUND, "the app says no"]);
    const chat = client.chat();
    chat.on("error", () => {});
    chat.write("one");
    await once(chat, "data");
    const end = new Promise<number>((resolve) => chat.on("status", ({ code }) => resolve(code)));
    chat.write("break");
    expect(await end).toBe(status.ABORTED);
  });

  it("shows its status in the metrics of both sides", async () => {
    const { client, app, sidecar, inbound } = await startCall();
    app.failures.push(status.PERMISSION_DENIED);
    await client.say("a");
    await client.say("b");
    for (const proxy of [sidecar, inbound]) {
      await expect
        .poll(async () => {
          const lines = (await metricsOf(proxy))
            .split("\n")
            .filter((line) => line.startsWith("istio_requests_total"));
          return lines
            .map((line) => /request_protocol="(\w+)".*grpc_response_status="(\d+)"/.exec(line)?.slice(1))
            .sort();
        })
        .toEqual([
          ["grpc", "0"],
          ["grpc", "7"],
        ]);
    }
  });

  it("carries the client's deadline, and stops at it", async () => {
    const { client, app } = await startCall();
    app.hold = new Promise(() => {});
    const before = Date.now();
    const late = await client.say("wait", { deadlineMs: 300 });
    expect(late.code).toBe(status.DEADLINE_EXCEEDED);
    expect(app.calls[0]!.deadline).toBeGreaterThan(before);
    expect(app.calls[0]!.deadline).toBeLessThan(before + 10_000);
    await expect.poll(() => app.cancelled).toBe(1);
  });
});

describe("what the mesh itself answers to a gRPC call", () => {
  // covers VirtualService http[].fault.abort.grpcStatus
  it("is a gRPC error: no such service, nobody there, a time-out, a fault", async () => {
    const { client, sidecar, app, apply } = await startCall();
    const stranger = new GrpcClient(onlyPort(sidecar), "nobody.test");
    after(() => stranger.stop());
    expect((await stranger.say("hello")).code).toBe(status.UNAVAILABLE);

    await apply(
      rule("- match: [{ uri: { exact: /other } }]\n  route: [{ destination: { host: echo.test } }]"),
    );
    expect((await client.say("hello")).code).toBe(status.UNIMPLEMENTED);

    app.hold = new Promise(() => {});
    await apply(rule("- timeout: 200ms\n  route: [{ destination: { host: echo.test } }]"));
    expect((await client.say("wait")).code).toBe(status.UNAVAILABLE);
    await expect.poll(() => app.cancelled).toBe(1);

    await apply(
      rule(
        "- fault: { abort: { grpcStatus: RESOURCE_EXHAUSTED, percentage: { value: 100 } } }\n  route: [{ destination: { host: echo.test } }]",
      ),
    );
    expect((await client.say("hello")).code).toBe(status.RESOURCE_EXHAUSTED);
  });

  it("is UNAVAILABLE when the app is gone", async () => {
    const { client, app } = await startCall();
    expect((await client.say("hello")).code).toBe(status.OK);
    app.stop();
    await expect.poll(async () => (await client.say("hello")).code).toBe(status.UNAVAILABLE);
  });
});

describe("a retry of a gRPC call", () => {
  // covers VirtualService http[].retries.retryOn, http[].retries.attempts
  it.each([
    ["cancelled", status.CANCELLED],
    ["deadline-exceeded", status.DEADLINE_EXCEEDED],
    ["internal", status.INTERNAL],
    ["resource-exhausted", status.RESOURCE_EXHAUSTED],
    ["unavailable", status.UNAVAILABLE],
  ])("is made for status %s when the rule says so", async (word, code) => {
    const retrying = `- retries: { attempts: 2, retryOn: ${word} }\n  route: [{ destination: { host: echo.test } }]`;
    const { client, app } = await startCall(rule(retrying));
    app.failures.push(code, code);
    expect((await client.say("hello")).code).toBe(status.OK);
    expect(app.calls.length).toBe(3);
    app.failures.push(status.NOT_FOUND);
    expect((await client.say("hello")).code).toBe(status.NOT_FOUND);
    expect(app.calls.length).toBe(4);
  });
});
