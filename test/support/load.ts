import { Agent, request } from "undici";

/** What a load generator counted. */
export interface LoadReport {
  readonly requests: number;
  /** Status → count. */
  readonly statuses: ReadonlyMap<number, number>;
  /** `x-served-by` → count. */
  readonly servedBy: ReadonlyMap<string, number>;
  /** Error code or message → count; these requests got no answer at all. */
  readonly errors: ReadonlyMap<string, number>;
  /** Errors and statuses ≥ 500, in the second since the start in which they ended. */
  readonly failuresBySecond: readonly number[];
  /** The failures in order, for a test that wants to say when and what. `atMs` since the start. */
  readonly failures: readonly { readonly atMs: number; readonly what: string }[];
  /** Sorted, ms. */
  readonly latencies: readonly number[];
  readonly durationMs: number;
}

export interface LoadOptions {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Requests under way at once; default 8. */
  readonly concurrency?: number;
  /** Stop after so many; default: until `stop()`. */
  readonly requests?: number;
  /** At most so many a second, all workers together; default: as fast as it goes. */
  readonly perSecond?: number;
  /** Given up after, ms; default 15 s. */
  readonly timeoutMs?: number;
}

export interface RunningLoad {
  /** Requests that have ended so far. */
  readonly count: number;
  /** Resolves once `count` of the load's requests have ended. */
  reached(count: number): Promise<void>;
  /** Lets the requests under way finish and reports. */
  stop(): Promise<LoadReport>;
  /** The report once all `requests` are done. */
  readonly done: Promise<LoadReport>;
}

/** Sends requests over keep-alive connections of its own until it is stopped or has sent them all. Nothing is retried. */
export function startLoad(options: LoadOptions): RunningLoad {
  const { concurrency = 8, requests = Number.POSITIVE_INFINITY, perSecond, timeoutMs = 15_000 } = options;
  const agent = new Agent({ connections: concurrency, pipelining: 1, keepAliveTimeout: 60_000 });
  const start = performance.now();
  const statuses = new Map<number, number>();
  const servedBy = new Map<string, number>();
  const errors = new Map<string, number>();
  const failuresBySecond: number[] = [];
  const failures: { atMs: number; what: string }[] = [];
  const latencies: number[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  let sent = 0;
  let ended = 0;
  let isStopped = false;

  function fail(what: string): void {
    const atMs = performance.now() - start;
    const second = Math.floor(atMs / 1000);
    failuresBySecond[second] = (failuresBySecond[second] ?? 0) + 1;
    failures.push({ atMs: Math.round(atMs), what });
  }

  async function one(): Promise<void> {
    const begin = performance.now();
    try {
      const { statusCode, headers, body } = await request(options.url, {
        dispatcher: agent,
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
        ...(options.headers ? { headers: options.headers } : {}),
      });
      await body.dump();
      latencies.push(performance.now() - begin);
      count(statuses, statusCode);
      const service = headers["x-served-by"];
      if (typeof service === "string") count(servedBy, service);
      if (statusCode >= 500) fail(`status ${statusCode}`);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      count(errors, code ?? message);
      fail(code ?? message);
    }
    ended++;
    for (const waiter of waiting) if (ended >= waiter.count) waiter.resolve();
  }

  async function work(): Promise<void> {
    while (!isStopped && sent < requests) {
      const dueMs = perSecond === undefined ? 0 : start + (sent * 1000) / perSecond - performance.now();
      sent++;
      if (dueMs > 1) await new Promise((resolve) => setTimeout(resolve, dueMs));
      await one();
    }
  }

  const done = Promise.all(Array.from({ length: concurrency }, work)).then(async (): Promise<LoadReport> => {
    const durationMs = performance.now() - start;
    await agent.close();
    for (const waiter of waiting) waiter.resolve();
    return {
      requests: ended,
      statuses,
      servedBy,
      errors,
      failuresBySecond: Array.from(failuresBySecond, (failed) => failed ?? 0),
      failures,
      latencies: latencies.sort((a, b) => a - b),
      durationMs,
    };
  });

  return {
    get count() {
      return ended;
    },
    reached: (wanted) =>
      ended >= wanted
        ? Promise.resolve()
        : new Promise((resolve) => waiting.push({ count: wanted, resolve })),
    stop: () => {
      isStopped = true;
      return done;
    },
    done,
  };
}

/** Sends `requests` requests and reports. */
export function load(options: LoadOptions & { readonly requests: number }): Promise<LoadReport> {
  return startLoad(options).done;
}

/** The latency in ms below which the `share` (0..1) of the answers came; NaN without answers. */
export function percentile(report: LoadReport, share: number): number {
  const { latencies } = report;
  return latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? Number.NaN;
}

function count<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
