import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { request } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RunningMesh } from "../support/mesh.ts";
import { startMesh } from "../support/mesh.ts";

/**
 * A fault inside a proxy while many requests are under way: nobody may be sent a byte that belongs to another, and the proxy is there again
 * soon, from its last good config. On SIGUSR2 every process of this mesh throws where nobody catches.
 */
const bomb = `--import "data:text/javascript,process.on('SIGUSR2',()=>{setImmediate(()=>{throw new Error('injected')})})"`;
let mesh: RunningMesh;

beforeAll(async () => {
  mesh = await startMesh("examples/hello/mesh.yaml", { env: { NODE_OPTIONS: bomb } });
});
afterAll(() => mesh?.stop());

interface Tally {
  whole: number;
  cut: number;
  /** Bytes that belong to somebody else. Must stay empty. */
  readonly foreign: string[];
}

/**
 * One keep-alive connection after the other, each with requests that carry a mark of their own in head and body; the echo says both. What
 * comes back is looked at byte by byte as it comes, whole or cut off.
 */
async function run(url: URL, worker: number, tally: Tally, isOver: () => boolean): Promise<void> {
  for (let turn = 0; !isOver(); turn++) {
    const mark = `mark-${worker}-${turn}-`;
    const marks = [0, 1, 2].map((step) => `${mark}${step}.`);
    const socket = connect({ host: url.hostname, port: Number(url.port) });
    let received = "";
    socket.on("data", (chunk) => (received += chunk.toString("latin1")));
    socket.on("error", () => {});
    const closed = new Promise((resolve) => socket.once("close", resolve));
    for (const [step, own] of marks.entries()) {
      const body = own.repeat(200);
      const last = step === marks.length - 1 ? "connection: close\r\n" : "";
      socket.write(
        `POST /${own} HTTP/1.1\r\nhost: x\r\n${last}x-mark: ${own}\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      );
    }
    await closed;
    const seen = new Set(received.match(/mark-\d+-\d+-\d+\./g) ?? []);
    for (const one of seen) if (!marks.includes(one)) tally.foreign.push(`${mark} was sent ${one}`);
    // Answers come in the order of the requests: none before its turn.
    const firsts = marks.map((one) => received.indexOf(one)).filter((at) => at >= 0);
    if (firsts.some((at, index) => index > 0 && at < firsts[index - 1]!))
      tally.foreign.push(`${mark}: out of turn`);
    const answers = received.match(/HTTP\/1\.1 200 /g)?.length ?? 0;
    if (answers === marks.length && marks.every((one) => received.includes(one.repeat(200))))
      tally.whole += 1;
    else tally.cut += 1;
    if (received === "") await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function isReady(admin: string): Promise<boolean> {
  try {
    const response = await request(`${admin}/ready`, { headersTimeout: 500 });
    await response.body.dump();
    return response.statusCode === 200;
  } catch {
    return false;
  }
}

/** ms that a Node without anything to do takes from its start to its end. */
async function emptyNodeMs(): Promise<number> {
  const began = performance.now();
  await once(spawn(process.execPath, ["-e", ""], { stdio: "ignore" }), "exit");
  return performance.now() - began;
}

describe("case 60: an uncaught exception in a proxy", () => {
  it.each([
    ["a gateway", () => mesh.info().gateways[0]!],
    ["a sidecar", () => mesh.info().sidecars[0]!],
  ])(
    "in %s sends nobody another's bytes, ends with 1, and the proxy is back in a second on a calm machine",
    async (_what, part) => {
      const url = new URL(mesh.gatewayUrl);
      const tally: Tally = { whole: 0, cut: 0, foreign: [] };
      let isOver = false;
      const workers = Array.from({ length: 8 }, (_, worker) => run(url, worker, tally, () => isOver));
      const times: number[] = [];
      try {
        for (let round = 0; round < 3; round++) {
          const before = tally.whole;
          await expect.poll(() => tally.whole, { timeout: 20_000 }).toBeGreaterThan(before + 50);
          const { pid, admin } = part();
          const slowness = Math.max(1, (await emptyNodeMs()) / 80);
          const began = performance.now();
          process.kill(pid!, "SIGUSR2");
          await expect.poll(() => isReady(admin), { timeout: 20_000, interval: 5 }).toBe(false);
          await expect.poll(() => isReady(admin), { timeout: 20_000, interval: 5 }).toBe(true);
          times.push((performance.now() - began) / slowness);
          expect(part().pid).not.toBe(pid);
        }
        const after = tally.whole;
        await expect.poll(() => tally.whole, { timeout: 20_000 }).toBeGreaterThan(after + 50);
      } finally {
        isOver = true;
        await Promise.all(workers);
      }
      console.log(
        `${tally.whole} connections were answered whole, ${tally.cut} cut off; back after ${times.map((ms) => Math.round(ms)).join(", ")} ms of a calm machine`,
      );
      expect(tally.foreign).toEqual([]);
      expect(mesh.log()).toMatch(/ended \(exit code 1\)/);
      expect(mesh.log()).toMatch(/"level":"fatal".*injected/);
      expect(times.sort((one, other) => one - other)[1]).toBeLessThan(1_000);
    },
    120_000,
  );
});
