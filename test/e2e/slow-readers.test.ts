import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import { connect } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, credentials } from "@grpc/grpc-js";
import { request } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Child } from "../../bench/support/children.ts";
import { freePort, startChild, untilListening } from "../../bench/support/children.ts";
import type { DeltaRequest, DeltaResponse, OutgoingRequest } from "../../common/xds/ads.ts";
import { aggregatedDiscoveryService } from "../../common/xds/ads.ts";
import { typeUrl } from "../../common/xds/type-url.ts";
import { sidecar } from "../support/xds-mesh.ts";

/** Proxies that stop reading while the mesh changes again and again, against a control plane in a process of its own. */
const { path, requestSerialize, responseDeserialize } = aggregatedDiscoveryService.DeltaAggregatedResources;
const folder = mkdtempSync(join(tmpdir(), "weft-slow-"));
let plane: Child;
let xds: number;
let http: number;
const cleanups: (() => void)[] = [];

beforeAll(async () => {
  http = await freePort();
  xds = await freePort();
  plane = startChild(process.execPath, [
    "cli/main.ts",
    "control-plane",
    ...["--state", folder, "--xds", `127.0.0.1:${xds}`, "--http", `127.0.0.1:${http}`, "--log-level", "warn"],
  ]);
  await untilListening(http, plane);
});
afterAll(async () => {
  for (const cleanup of cleanups) cleanup();
  await plane.stop();
  rmSync(folder, { recursive: true, force: true });
});

const endpointsPerService = 100;

/** A service whose every endpoint is another one in each round: about 10 kB on the wire. */
async function change(round: number): Promise<void> {
  const endpoints = Array.from(
    { length: endpointsPerService },
    (_, index) => `{ address: 10.${round % 200}.${index}.1, labels: { app: "a${round}-${index}" } }`,
  );
  const { statusCode, body } = await request(`http://127.0.0.1:${http}/resources`, {
    method: "POST",
    body: `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: big, namespace: default }
spec:
  hosts: [big.example]
  ports: [{ number: 80, name: http, protocol: HTTP }]
  resolution: STATIC
  location: MESH_INTERNAL
  endpoints: [${endpoints.join(", ")}]
`,
  });
  const answer = await body.text();
  expect(statusCode, answer).toBe(200);
}

function messageOf(content: OutgoingRequest<DeltaRequest>): Buffer {
  const message = requestSerialize(content);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function asking(name: string, kind: "cluster" | "endpoints", nonce = "", isFirst = false) {
  return {
    typeUrl: typeUrl[kind],
    subscribe: nonce === "" ? ["*"] : [],
    unsubscribe: [],
    initialVersions: new Map(),
    responseNonce: nonce,
    ...(isFirst && { node: { proxy: sidecar(name), version: "t" } }),
  };
}

/** Reads nothing, ever. With `answers` it accepts what it has not read: nonces can be guessed. */
function neverReads(name: string): { answer(nonce: number): void } {
  const session: ClientHttp2Session = connect(`http://127.0.0.1:${xds}`);
  cleanups.push(() => session.destroy());
  session.on("error", () => {});
  const stream: ClientHttp2Stream = session.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.on("error", () => {});
  stream.write(messageOf(asking(name, "cluster", "", true)));
  stream.write(messageOf(asking(name, "endpoints")));
  return {
    answer: (nonce) => {
      if (stream.destroyed) return;
      for (const kind of ["cluster", "endpoints"] as const)
        stream.write(messageOf(asking(name, kind, String(nonce))));
    },
  };
}

/** Reads and answers at once; resolves `seen` when a round's endpoints have come. */
function reads(name: string) {
  const client = new Client(`127.0.0.1:${xds}`, credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
  });
  const stream = client.makeBidiStreamRequest<OutgoingRequest<DeltaRequest>, DeltaResponse>(
    path,
    requestSerialize,
    responseDeserialize,
  );
  cleanups.push(() => {
    stream.cancel();
    client.close();
  });
  let newest = "";
  let wake = () => {};
  stream.on("error", () => {});
  stream.on("data", (response: DeltaResponse) => {
    const kind = response.typeUrl === typeUrl.cluster ? "cluster" : "endpoints";
    stream.write(asking(name, kind, response.nonce));
    for (const { bytes } of response.resources) newest = Buffer.from(bytes).toString("latin1");
    wake();
  });
  stream.write(asking(name, "cluster", "", true));
  stream.write(asking(name, "endpoints"));
  return {
    /** Resolves when it has the endpoints of that round. */
    async seen(round: number): Promise<void> {
      const last = `10.${round % 200}.${endpointsPerService - 1}.1`;
      while (!newest.includes(last)) await new Promise<void>((resolve) => (wake = resolve));
    },
  };
}

function rssMb(): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${plane.pid}/status`, "utf8"))?.[1]) / 1024;
}

describe("proxies that stop reading", { skip: process.platform !== "linux" }, () => {
  it("cost a bounded memory while the mesh changes 1,000 times, and those that read get every change in time", async () => {
    await change(0);
    const silent = Array.from({ length: 10 }, (_, index) => neverReads(`silent-${index}`));
    const liars = Array.from({ length: 10 }, (_, index) => neverReads(`liar-${index}`));
    const honest = reads("honest");
    await honest.seen(0);
    // What a control plane grows to by doing the same work for one proxy is not the question: it has settled by then.
    let nonce = 0;
    const run = async (from: number, to: number): Promise<number> => {
      let slowestMs = 0;
      for (let round = from; round < to; round++) {
        await change(round);
        for (const liar of liars) for (let step = 1; step <= 2; step++) liar.answer(nonce + step);
        nonce += 2;
        const began = performance.now();
        await honest.seen(round);
        slowestMs = Math.max(slowestMs, performance.now() - began);
      }
      return slowestMs;
    };
    await run(1, 200);
    const settled = rssMb();
    const slowestMs = await run(200, 1_000);
    const after = rssMb();
    console.log(
      `20 proxies that read nothing: ${settled.toFixed(0)} MB after 200 changes, ${after.toFixed(0)} MB after 1,000; a change reached the one that reads within ${slowestMs.toFixed(0)} ms`,
    );
    // 20 queues of 800 changes would be more than 150 MB.
    expect(after - settled).toBeLessThan(100);
    expect(slowestMs).toBeLessThan(5_000);
    expect(plane.isRunning()).toBe(true);
    expect(silent).toHaveLength(10);
  }, 400_000);
});
