import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runChild } from "./children.ts";
import { loadCore } from "./cores.ts";
import { scratchFolder } from "./scratch.ts";

export interface LoadRequest {
  readonly port: number;
  readonly path: string;
  readonly host: string;
  readonly connections: number;
  readonly durationMs: number;
  /** Requests per second, sent at even distances; absent: as many as the connections allow. Only `nodeLoad` can keep one. */
  readonly rate?: number;
}

/** What one round of load saw. */
export interface LoadResult {
  readonly requestsPerSecond: number;
  readonly requests: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Requests that failed or were answered with anything but 2xx and 3xx. */
  readonly errors: number;
}

/** Sends requests from the load core, one at a time on each connection. */
export type Load = (request: LoadRequest) => Promise<LoadResult>;

/** wrk, which costs the load core least. Rounds are whole seconds. */
export function wrkLoad(): Load {
  const script = join(scratchFolder(), "report.lua");
  writeFileSync(script, reportInJson);
  return async ({ port, path, host, connections, durationMs }) => {
    const seconds = Math.max(1, Math.round(durationMs / 1000));
    const output = await runChild(
      "wrk",
      [
        ...["--threads", "1", "--connections", String(connections), "--duration", `${seconds}s`],
        ...["--header", `Host: ${host}`, "--script", script, `http://127.0.0.1:${port}${path}`],
      ],
      { core: loadCore, timeoutMs: seconds * 1000 + 15_000 },
    );
    return parseLoadResult(output);
  };
}

/** Our own generator, which keeps a rate and needs nothing installed, but is slower than wrk. */
export const nodeLoad: Load = async (request) => {
  const program = fileURLToPath(new URL("./node-load.ts", import.meta.url));
  const output = await runChild(process.execPath, [program, JSON.stringify(request)], {
    core: loadCore,
    timeoutMs: request.durationMs + 15_000,
  });
  return parseLoadResult(output);
};

function parseLoadResult(output: string): LoadResult {
  const line = output.split("\n").find((text) => text.startsWith('{"requestsPerSecond"'));
  if (line === undefined) throw new Error(`the load generator printed no result:\n${output}`);
  return JSON.parse(line) as LoadResult;
}

const reportInJson = `
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '{"requestsPerSecond":%.1f,"requests":%d,"p50Ms":%.3f,"p99Ms":%.3f,"errors":%d}\\n',
    summary.requests / (summary.duration / 1e6), summary.requests,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.connect + e.read + e.write + e.status + e.timeout))
end
`;
