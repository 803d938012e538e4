import type { Socket } from "node:net";
import { connect } from "node:net";
import type { LoadRequest, LoadResult } from "./load.ts";
import { percentile } from "./statistics.ts";

/**
 * A closed-loop load generator: `node node-load.ts '<LoadRequest as JSON>'` prints a LoadResult. Counts a response as complete when
 * its Content-Length has arrived, which is all that the benchmark's backend sends.
 */
const { port, path, host, connections, durationMs } = JSON.parse(process.argv[2] ?? "") as LoadRequest;
const request = Buffer.from(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`, "latin1");
const latencies: number[] = [];
let errors = 0;

const startedAt = performance.now();
const endsAt = startedAt + durationMs;
await Promise.all(Array.from({ length: connections }, useConnection));

const seconds = (performance.now() - startedAt) / 1000;
const sorted = Float64Array.from(latencies).sort();
const result: LoadResult = {
  requestsPerSecond: latencies.length / seconds,
  requests: latencies.length,
  p50Ms: percentile(sorted, 0.5),
  p99Ms: percentile(sorted, 0.99),
  errors,
};
process.stdout.write(`${JSON.stringify(result)}\n`);

/** Resolves when the time is over, or when the connection broke. */
function useConnection(): Promise<void> {
  return new Promise((resolve) => {
    const socket: Socket = connect(port, "127.0.0.1");
    let sentAt = 0;
    let received = "";
    const send = (): void => {
      sentAt = performance.now();
      socket.write(request);
    };
    const end = (): void => {
      socket.destroy();
      resolve();
    };
    socket.setNoDelay(true);
    socket.on("connect", send);
    socket.on("error", () => errors++);
    socket.on("close", () => {
      if (performance.now() < endsAt) errors++;
      resolve();
    });
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
      const length = completeLength(received);
      if (length === undefined || received.length < length) return;
      if (!/^HTTP\/1\.1 [23]/.test(received)) errors++;
      received = received.slice(length);
      const now = performance.now();
      latencies.push(now - sentAt);
      if (now < endsAt) send();
      else end();
    });
    setTimeout(end, durationMs + 2000).unref();
  });
}

function completeLength(received: string): number | undefined {
  const headEnd = received.indexOf("\r\n\r\n");
  if (headEnd === -1) return undefined;
  const length = /\r\ncontent-length: *(\d+)/i.exec(received.slice(0, headEnd));
  return headEnd + 4 + Number(length?.[1] ?? 0);
}
