import type { Socket } from "node:net";
import { connect } from "node:net";
import type { LoadRequest, LoadResult } from "./load.ts";
import { percentile } from "./statistics.ts";

/**
 * A load generator: `node node-load.ts '<LoadRequest as JSON>'` prints a LoadResult. Without a rate each connection asks again as soon as
 * it was answered. With one, requests are due at even distances whatever became of those before, and one that finds all connections
 * taken waits, and its wait counts: a stall shows in all requests that it held up. Counts a response as complete when its Content-Length
 * has arrived, which is all that the benchmark's backend sends.
 */
const { port, path, host, connections, durationMs, rate } = JSON.parse(process.argv[2] ?? "") as LoadRequest;
const request = Buffer.from(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`, "latin1");
const latencies: number[] = [];
/** Sends on a connection that has nothing to do, those that rested longest first. */
const free: ((since: number) => void)[] = [];
/** When the requests that found no free connection were due. */
const waiting: number[] = [];
let errors = 0;

const startedAt = performance.now();
const endsAt = startedAt + durationMs;
const isOver = (): boolean => performance.now() >= endsAt;
const allClosed = Promise.all(Array.from({ length: connections }, useConnection));
if (rate !== undefined) keepRate(rate);
await allClosed;

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

/** Node's timers keep milliseconds only, so each turn sends what has become due; that lateness is ours and not counted. */
function keepRate(perSecond: number): void {
  let sent = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    if (now >= endsAt) {
      clearInterval(timer);
      return;
    }
    for (const due = ((now - startedAt) / 1000) * perSecond; sent < due; sent++) {
      const send = free.shift();
      if (send === undefined) waiting.push(now);
      else send(now);
    }
  }, 1);
}

/** Resolves when the time is over, or when the connection broke. */
function useConnection(): Promise<void> {
  return new Promise((resolve) => {
    const socket: Socket = connect(port, "127.0.0.1");
    let countsFrom = 0;
    let received = "";
    const send = (since: number): void => {
      countsFrom = since;
      socket.write(request);
    };
    const next = (): void => {
      if (isOver()) end();
      else if (rate === undefined) send(performance.now());
      else {
        const since = waiting.shift();
        if (since === undefined) free.push(send);
        else send(since);
      }
    };
    const end = (): void => {
      socket.destroy();
      resolve();
    };
    socket.setNoDelay(true);
    socket.on("connect", next);
    socket.on("error", () => errors++);
    socket.on("close", () => {
      if (!isOver()) errors++;
      resolve();
    });
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
      const length = completeLength(received);
      if (length === undefined || received.length < length) return;
      if (!/^HTTP\/1\.1 [23]/.test(received)) errors++;
      received = received.slice(length);
      latencies.push(performance.now() - countsFrom);
      next();
    });
    // With a rate a connection may rest when the time is over; without, its last answer ends it.
    const timer = setTimeout(end, rate === undefined ? durationMs + 2000 : durationMs + 50);
    if (rate === undefined) timer.unref();
  });
}

function completeLength(received: string): number | undefined {
  const headEnd = received.indexOf("\r\n\r\n");
  if (headEnd === -1) return undefined;
  const length = /\r\ncontent-length: *(\d+)/i.exec(received.slice(0, headEnd));
  return headEnd + 4 + Number(length?.[1] ?? 0);
}
