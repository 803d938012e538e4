import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { ClientHttp2Session } from "node:http2";
import { connect } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Child } from "../../bench/support/children.ts";
import { freePort, startChild, untilListening } from "../../bench/support/children.ts";
import { aggregatedDiscoveryService } from "../../common/xds/ads.ts";
import { typeUrl } from "../../common/xds/type-url.ts";
import { sidecar } from "../support/xds-mesh.ts";

/** Clients that mean no good, against a control plane in a process of its own: it closes them, lives on and stays small. */
const { path, requestSerialize } = aggregatedDiscoveryService.DeltaAggregatedResources;
const folder = mkdtempSync(join(tmpdir(), "weft-hostile-"));
let plane: Child;
let xds: number;
const sessions: ClientHttp2Session[] = [];

beforeAll(async () => {
  const http = await freePort();
  xds = await freePort();
  plane = startChild(process.execPath, [
    "cli/main.ts",
    "control-plane",
    ...["--state", folder, "--xds", `127.0.0.1:${xds}`, "--http", `127.0.0.1:${http}`],
  ]);
  await untilListening(xds, plane);
});
afterAll(async () => {
  for (const session of sessions) session.destroy();
  await plane.stop();
  rmSync(folder, { recursive: true, force: true });
});

function request(subscribe: readonly string[], withNode: boolean): Buffer {
  const message = requestSerialize({
    typeUrl: typeUrl.endpoints,
    subscribe,
    unsubscribe: [],
    initialVersions: new Map(),
    responseNonce: "",
    ...(withNode ? { node: { proxy: sidecar("hostile"), version: "t" } } : {}),
  });
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** Resolves with the gRPC status once the stream has ended. */
function send(...messages: readonly Buffer[]): Promise<string> {
  const session = connect(`http://127.0.0.1:${xds}`);
  sessions.push(session);
  session.on("error", () => {});
  const stream = session.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.on("error", () => {});
  stream.resume();
  for (const message of messages) stream.write(message);
  return new Promise((resolve) => {
    const note = (headers: { readonly "grpc-status"?: string | string[] }) => {
      if (headers["grpc-status"] !== undefined) resolve(String(headers["grpc-status"]));
    };
    stream.on("response", note).on("trailers", note);
    stream.once("close", () => resolve("reset"));
  });
}

function rssMb(): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${plane.pid}/status`, "utf8"))?.[1];
  return Number(kilobytes) / 1024;
}

const resourceExhausted = "8";

describe("hostile xDS clients", { skip: process.platform !== "linux" }, () => {
  it("are closed for a request that is too large, a name that is too long, and too many names", async () => {
    const before = rssMb();
    const claimsMuch = Buffer.from([0, 0x7f, 0xff, 0xff, 0xff, 1, 2, 3]);
    const names = (from: number) =>
      Array.from({ length: 20_000 }, (_, index) => `outbound|${from + index}||a.b.svc.cluster.local`);
    for (let round = 0; round < 5; round++) {
      const answers = await Promise.all([
        send(request(["x".repeat(10_000_000)], true)),
        send(claimsMuch),
        send(request(["x".repeat(1_000_000)], true)),
        send(...[0, 1, 2, 3, 4].map((part) => request(names(part * 20_000), part === 0))),
      ]);
      expect(answers).toEqual(Array(4).fill(resourceExhausted));
    }
    expect(await send(Buffer.from([0, 0, 0, 0, 3, 255, 255, 255]))).not.toBe("0");
    expect(rssMb() - before).toBeLessThan(200);
  }, 60_000);

  it("that open many streams on one connection are held to a number", async () => {
    const session = connect(`http://127.0.0.1:${xds}`);
    sessions.push(session);
    session.on("error", () => {});
    const limit = await new Promise<number | undefined>((resolve) => {
      session.once("remoteSettings", ({ maxConcurrentStreams }) => resolve(maxConcurrentStreams));
    });
    expect(limit).toBe(100);
    expect(plane.isRunning()).toBe(true);
  });
});
